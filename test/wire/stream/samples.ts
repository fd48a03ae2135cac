import fc from 'fast-check';
import { be64 } from './writer.ts';
import * as writer from './writer.ts';

/** Streams for properties: valid ones as pieces, of which some are headers, and what is done to them. */
export interface Piece {
  readonly bytes: Buffer;
  /** Its first bytes decide how the rest is read: what a mutation should hit. */
  readonly headerBytes: number;
}

/** Small pages, so that a case is quick: their size is in the stream. */
export const SMALL_PAGE = 1024;
const BLOCKS = [
  { name: 'pc.ram', bytes: 64 * SMALL_PAGE },
  { name: '/rom@etc/acpi/tables', bytes: 4 * SMALL_PAGE },
  { name: '0000:00:02.0/vga.vram', bytes: 16 * SMALL_PAGE },
];
const RAM_ID = 2;

const piece = (bytes: Buffer, headerBytes = bytes.length): Piece => ({ bytes, headerBytes });

const content = fc.tuple(fc.uint8Array({ maxLength: 24 }), fc.nat(255)).map(([start, fill]) => {
  const bytes = Buffer.alloc(SMALL_PAGE, fill);
  bytes.set(start);
  return bytes;
});

const plainState: fc.Arbitrary<Buffer> = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(Buffer.alloc(9)),
);

/** Device state that a guest has filled with what looks like parts of a stream. */
const plantedState = fc
  .array(
    fc.oneof(
      plainState,
      fc.nat(300).map((id) => writer.footer(id)),
      fc.constant(writer.partHeader('part', RAM_ID)),
      fc.constant(writer.sectionHeader('start', 7, 'ram')),
    ),
    { maxLength: 5 },
  )
  .map((parts) => Buffer.concat(parts));

interface RamPartOptions {
  readonly kinds: readonly ('page' | 'zero' | 'xbzrle' | 'flush' | 'compressed')[];
  /** Of the records; undefined: the block of the record before. */
  readonly names: readonly (string | undefined)[];
  readonly pageBytes: number;
  /** The last page that a record may be of. */
  readonly lastPage: number;
  readonly content: fc.Arbitrary<Buffer>;
  readonly mostRecords: number;
}

/** Parts of the section of memory, each a page and records of every kind. */
export function ramParts(options: RamPartOptions): fc.Arbitrary<Piece[]> {
  const { kinds, names, pageBytes, lastPage, mostRecords } = options;
  const record = fc
    .record({
      kind: fc.constantFrom(...kinds),
      name: fc.constantFrom(...names),
      address: fc.nat(lastPage).map((page) => page * pageBytes),
      bytes: options.content,
      delta: fc.uint8Array({ maxLength: 60 }),
    })
    .map(({ kind, name, address, bytes, delta }) => {
      const headerBytes = 12 + (name?.length ?? 0);
      switch (kind) {
        case 'page':
          return piece(writer.page(address, bytes, name), headerBytes);
        case 'zero':
          return piece(writer.zeroPage(address, name));
        case 'xbzrle':
          return piece(writer.xbzrle(address, delta, name), headerBytes);
        case 'compressed':
          return piece(writer.compressedPage(address, delta, name), headerBytes);
        default:
          return piece(writer.multifdFlush);
      }
    });
  return fc
    .tuple(
      fc.constantFrom('part' as const, 'end' as const),
      fc.array(record, { maxLength: mostRecords }),
      options.content,
    )
    .map(([kind, records, first]) => [
      piece(writer.partHeader(kind, RAM_ID)),
      piece(writer.page(0, first, 'pc.ram'), 15),
      ...records,
      piece(writer.endOfSection),
      piece(writer.footer(RAM_ID)),
    ]);
}

const [RAM, ROM, VRAM] = BLOCKS.map(({ name }) => name);
const ramPart = ramParts({
  kinds: ['page', 'page', 'zero', 'xbzrle', 'flush', 'compressed'],
  names: [RAM, RAM, ROM, VRAM, undefined],
  pageBytes: SMALL_PAGE,
  lastPage: 3,
  content,
  mostRecords: 6,
});

function device(state: fc.Arbitrary<Buffer>): fc.Arbitrary<Piece[]> {
  const names = fc.constantFrom('timer', 'cpu_common', '0000:00:01.0/virtio-net');
  return fc
    .tuple(fc.integer({ min: 3, max: 300 }), names, state)
    .map(([id, name, payload]) => [
      piece(writer.sectionHeader('full', id, name, 2)),
      piece(payload, 0),
      piece(writer.footer(id)),
    ]);
}

const command: fc.Arbitrary<Piece[]> = fc.oneof(
  fc.constantFrom(1, 11).map((code) => [piece(writer.command(code))]),
  fc.nat(1000).map((value) => [piece(writer.command(2, be64(value).subarray(4)))]),
  fc.uint8Array({ maxLength: 80 }).map((list) => [piece(writer.command(6, list), 5)]),
  fc.uint8Array({ maxLength: 10 }).map((payload) => [piece(writer.command(10, payload), 5)]),
);

function packaged(state: fc.Arbitrary<Buffer>): fc.Arbitrary<Piece[]> {
  return fc.array(device(state), { maxLength: 3 }).map((devices) => {
    const inside = [piece(writer.command(4)), ...devices.flat(), piece(writer.command(5))];
    const whole = writer.packaged(Buffer.concat(inside.map(({ bytes }) => bytes)));
    return [piece(whole.subarray(0, 9)), ...inside];
  });
}

const start: Piece[] = [
  piece(writer.fileHeader()),
  piece(writer.subsection('configuration/target-page-bits', Buffer.from([0, 0, 0, 10]))),
  piece(writer.sectionHeader('start', RAM_ID, 'ram')),
  piece(writer.ramList(BLOCKS)),
  piece(writer.endOfSection),
  piece(writer.footer(RAM_ID)),
];

function mainChannel(state: fc.Arbitrary<Buffer>): fc.Arbitrary<Piece[]> {
  const middle = fc.oneof(
    { weight: 4, arbitrary: ramPart },
    { weight: 2, arbitrary: device(state) },
    { weight: 1, arbitrary: command },
    { weight: 1, arbitrary: packaged(state) },
  );
  const end = piece(writer.description('{"devices": []}'), 6);
  return fc.array(middle, { maxLength: 6 }).map((parts) => [...start, ...parts.flat(), end]);
}

/** A main channel, each piece of which QEMU could have written. */
export const validStream = mainChannel(plantedState);
/** The same, of guests that plant nothing. */
export const honestStream = mainChannel(plainState);

/** A multifd channel; its blocks are those of `start`. */
export const multifdStream: fc.Arbitrary<Piece[]> = fc
  .array(
    fc.record({
      flags: fc.constantFrom(0, 0, 0, 1, 4),
      pages: fc.array(fc.tuple(fc.nat(15), content), { maxLength: 3 }),
      zeros: fc.array(fc.nat(15), { maxLength: 2 }),
      data: fc.uint8Array({ maxLength: 100 }),
    }),
    { maxLength: 4 },
  )
  .map((packets) => [
    piece(writer.multifdHello(1)),
    ...packets.map(({ flags, pages, zeros, data }) =>
      piece(
        writer.multifdPacket({
          flags,
          block: 'pc.ram',
          room: 512,
          pages: pages.map(([page, bytes]) => ({ address: page * SMALL_PAGE, content: bytes })),
          zeros: zeros.map((page) => page * SMALL_PAGE),
          ...(flags === 4 && pages.length > 0 ? { data } : {}),
        }),
        64,
      ),
    ),
  ]);

export const joined = (pieces: readonly Piece[]): Buffer =>
  Buffer.concat(pieces.map(({ bytes }) => bytes));

/** The bytes before the first RAM part: they teach a context the blocks. */
export const preamble: Buffer = joined(start);

/** One thing that goes wrong with a stream, as a choice of numbers. */
export interface Damage {
  readonly kind: 'set' | 'cut' | 'repeat' | 'insert' | 'truncate';
  readonly piece: number;
  readonly offset: number;
  readonly length: number;
  readonly value: number;
}

export const damage: fc.Arbitrary<Damage> = fc.record({
  kind: fc.constantFrom('set', 'set', 'set', 'cut', 'repeat', 'insert', 'truncate'),
  piece: fc.nat(),
  offset: fc.nat(),
  length: fc.integer({ min: 1, max: 40 }),
  // Values that mean something in headers are likelier than chance would have them.
  value: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 2, 3, 4, 7, 8, 0x10, 0x20, 0x40, 0x7e, 0xff)),
});

/** Damages the bytes of headers, where each one counts. */
export function damaged(pieces: readonly Piece[], damages: readonly Damage[]): Buffer {
  const headers: number[] = [];
  let at = 0;
  for (const { bytes, headerBytes } of pieces) {
    for (let offset = 0; offset < headerBytes; offset += 1) headers.push(at + offset);
    at += bytes.length;
  }
  let stream = joined(pieces);
  for (const { kind, offset, length, value } of damages) {
    const place = Math.min(headers[offset % headers.length] ?? 0, stream.length);
    const before = stream.subarray(0, place);
    const after = stream.subarray(Math.min(stream.length, place + length));
    if (kind === 'set') {
      if (place < stream.length) stream[place] = value;
    } else if (kind === 'cut') stream = Buffer.concat([before, after]);
    else if (kind === 'truncate') stream = Buffer.from(before);
    else if (kind === 'insert') {
      stream = Buffer.concat([before, Buffer.alloc(length, value), stream.subarray(place)]);
    } else
      stream = Buffer.concat([
        before,
        stream.subarray(place, place + length),
        stream.subarray(place),
      ]);
  }
  return stream;
}

/** Lengths of chunks, used in turn; some tiny, some larger than any item. */
export const chunking: fc.Arbitrary<number[]> = fc.array(
  fc.oneof(
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 12 }) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 3000 }) },
  ),
  { minLength: 1, maxLength: 8 },
);

export function* chunks(stream: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  let at = 0;
  for (let index = 0; at < stream.length; index += 1) {
    const end = Math.min(stream.length, at + (lengths[index % lengths.length] ?? 1));
    // A copy of its own: what the parser keeps of a chunk must not be the caller's memory.
    yield Uint8Array.from(stream.subarray(at, end));
    at = end;
  }
}
