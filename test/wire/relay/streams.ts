import fc from 'fast-check';
import { ramParts, type Piece } from '../stream/samples.ts';
import * as writer from '../stream/writer.ts';

/** Streams with pages of the usual size, which the codec takes as pages; few contents, so that they meet. */
const PAGE = 4096;
const BLOCKS = [
  { name: 'pc.ram', bytes: 64 * PAGE },
  { name: '/rom@etc/acpi/tables', bytes: 4 * PAGE },
];
const RAM_ID = 2;

const piece = (bytes: Buffer, headerBytes = bytes.length): Piece => ({ bytes, headerBytes });

const content = fc
  .record({ fill: fc.nat(3), change: fc.option(fc.nat(PAGE - 1)) })
  .map(({ fill, change }) => {
    const bytes = Buffer.alloc(PAGE, fill);
    if (change !== null) bytes[change] = 0xaa;
    return bytes;
  });

const [RAM, ROM] = BLOCKS.map(({ name }) => name);
const ramPart = ramParts({
  kinds: ['page', 'page', 'page', 'zero', 'xbzrle', 'flush', 'compressed'],
  names: [RAM, ROM, undefined, undefined],
  pageBytes: PAGE,
  lastPage: 4,
  content,
  mostRecords: 8,
});

const device: fc.Arbitrary<Piece[]> = fc
  .tuple(fc.integer({ min: 3, max: 90 }), fc.uint8Array({ maxLength: 40 }))
  .map(([id, payload]) => [piece(writer.device(id, 'timer', payload))]);

const packaged: fc.Arbitrary<Piece[]> = device.map(([inside]) => [
  piece(writer.packaged(inside!.bytes)),
]);

const start: Piece[] = [
  piece(writer.fileHeader()),
  piece(writer.sectionHeader('start', RAM_ID, 'ram')),
  piece(writer.ramList(BLOCKS)),
  piece(writer.endOfSection),
  piece(writer.footer(RAM_ID)),
];

/** A main channel that QEMU could have written. */
export const stream: fc.Arbitrary<Piece[]> = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: ramPart },
      { weight: 1, arbitrary: device },
      { weight: 1, arbitrary: packaged },
    ),
    { maxLength: 5 },
  )
  .map((parts) => [...start, ...parts.flat(), piece(writer.description('{}'), 6)]);

/** A long one of so many pages a round, every third of zeros; `first` decides what is in the others. */
export function longStream(pages: number, first = 1, rounds = 1): Buffer {
  const records = Array.from({ length: pages }, (_, at) => {
    const name = at === 0 ? 'pc.ram' : undefined;
    if (at % 3 === 2) return writer.zeroPage(at * PAGE, name);
    return writer.page(at * PAGE, pageOfStream(at, first), name);
  });
  return Buffer.concat([
    writer.fileHeader(),
    writer.sectionHeader('start', RAM_ID, 'ram'),
    writer.ramList([writer.PC_RAM]),
    writer.endOfSection,
    writer.footer(RAM_ID),
    ...Array.from({ length: rounds }, () => [
      writer.partHeader('part', RAM_ID),
      ...records,
      writer.endOfSection,
      writer.footer(RAM_ID),
    ]).flat(),
    writer.device(7, 'timer', Buffer.from('state of a device')),
    writer.description('{}'),
  ]);
}

/** The content of a page of `longStream` that is none of zeros. */
export function pageOfStream(at: number, first = 1): Buffer {
  const page = Buffer.alloc(PAGE);
  for (let word = 0; word < PAGE; word += 4) page.writeInt32LE(Math.imul(first + at, word), word);
  return page;
}
