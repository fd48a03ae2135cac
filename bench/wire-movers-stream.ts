import { ownParts, pageCache, sharesOf } from './wire-mixes.ts';
import { RAM_FLAG } from '../src/wire/stream/format.ts';

const PAGE = 4096;
const BLOCK = 'pc.ram';
const RAM_ID = 2;
/** Of the memory, what is not zeros. */
const USED = 0.65;
/** What a program of the guest dirties, one word in page after page. */
const REGION = 0.1;
/** Pages that are sent again, by round: what was dirtied meanwhile. */
const AGAIN = [2048, 512, 128];
/** A section of the stream lasts QEMU's 50 ms. */
const SECTION_PAGES = 2048;
const DEVICES_BYTES = 160_000;
const ZERO = Buffer.alloc(PAGE);

/** A guest's memory: files of an image, what is its own, and zeros. */
export function guestMemory(bytes: number, number: number): Buffer {
  const image = pageCache(sharesOf(bytes * USED, PAGE).image);
  const used = Buffer.concat([image, ...Object.values(ownParts(bytes * USED, PAGE, number))]);
  return Buffer.concat([used, Buffer.alloc(bytes - used.length)]);
}

/** As QEMU writes it: all pages, those that were dirtied meanwhile again, then devices' state. Changes the memory. */
export function streamOf(memory: Buffer, version: number): Buffer {
  const pages = memory.length / PAGE;
  const region = Math.floor(pages * REGION);
  const dirty = (round: number, from: number, count: number): number[] =>
    Array.from({ length: count }, (_, at) => {
      const page = (from + at) % region;
      memory.writeUInt32LE(version * 16 + round + 1, page * PAGE + 64);
      return page;
    });
  dirty(0, 0, region);
  const pieces: Buffer[] = [
    start(memory.length),
    ...sections(
      memory,
      Array.from({ length: pages }, (_, at) => at),
    ),
  ];
  for (const [at, count] of AGAIN.entries()) {
    pieces.push(...sections(memory, dirty(at + 1, at * 1000, count)));
  }
  pieces.push(device(7, Buffer.alloc(DEVICES_BYTES, 'state of a device')), Buffer.from([0]));
  return Buffer.concat(pieces);
}

function be32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function be64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function named(name: string): Buffer {
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name, 'latin1')]);
}

const footer = (id: number): Buffer => Buffer.concat([Buffer.from([0x7e]), be32(id)]);

function sectionHead(type: number, id: number, name: string, version: number): Buffer {
  return Buffer.concat([Buffer.from([type]), be32(id), named(name), be32(0), be32(version)]);
}

export function start(bytes: number): Buffer {
  const machine = 'pc-q35-7.2';
  return Buffer.concat([
    Buffer.from('QEVM', 'latin1'),
    be32(3),
    Buffer.from([7]),
    be32(machine.length),
    Buffer.from(machine),
    sectionHead(1, RAM_ID, 'ram', 4),
    be64(bytes + RAM_FLAG.MEM_SIZE),
    named(BLOCK),
    be64(bytes),
    be64(RAM_FLAG.EOS),
    footer(RAM_ID),
  ]);
}

/** Copies of the pages, as parts of the RAM section. */
function* sections(memory: Buffer, pages: readonly number[]): Generator<Buffer> {
  for (let at = 0; at < pages.length; at += SECTION_PAGES) {
    yield Buffer.concat([Buffer.from([2]), be32(RAM_ID)]);
    for (const [index, page] of pages.slice(at, at + SECTION_PAGES).entries()) {
      yield* record(memory, page, at + index === 0);
    }
    yield Buffer.concat([be64(RAM_FLAG.EOS), footer(RAM_ID)]);
  }
}

function* record(memory: Buffer, page: number, first: boolean): Generator<Buffer> {
  const content = memory.subarray(page * PAGE, (page + 1) * PAGE);
  const zero = content.equals(ZERO);
  const flags = (zero ? RAM_FLAG.ZERO : RAM_FLAG.PAGE) + (first ? 0 : RAM_FLAG.CONTINUE);
  yield be64(page * PAGE + flags);
  if (first) yield named(BLOCK);
  yield zero ? Buffer.alloc(1) : Buffer.from(content);
}

export function device(id: number, payload: Buffer): Buffer {
  return Buffer.concat([sectionHead(4, id, 'timer', 1), payload, footer(id)]);
}
