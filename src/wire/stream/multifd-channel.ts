import type { StreamContext } from './context.ts';
import { isPrintable, text, u32, u64 } from './fields.ts';
import { MAX_PAGE_BYTES, MIN_PAGE_BYTES, MULTIFD } from './format.ts';
import { Framer } from './framer.ts';
import type { RamBlock, StreamSink } from './types.ts';

const MAX_PAGES = MULTIFD.PACKET_BYTES / MIN_PAGE_BYTES;
const MIN_PAGES = MULTIFD.PACKET_BYTES / MAX_PAGE_BYTES;
const KNOWN_FLAGS = MULTIFD.FLAG_SYNC | MULTIFD.FLAG_METHOD | MULTIFD.FLAG_DEVICE_STATE;

/** Multifd channel: a hello, then packets with a header of fixed length and the number of bytes in it. */
export class MultifdChannel extends Framer {
  readonly #context: StreamContext;
  #greeted = false;
  #lost = false;
  #block: RamBlock | undefined;
  readonly #addresses = new Float64Array(MAX_PAGES);
  #pages = 0;
  #nextPage = 0;
  readonly #record: PageOf = { block: NO_BLOCK, address: 0, header: 'none' };

  constructor(sink: StreamSink, context: StreamContext) {
    super(sink);
    this.#context = context;
  }

  protected step(bytes: Uint8Array, at: number, end: number): number {
    if (this.#lost) return this.#seek(bytes, at, end);
    if (this.#nextPage < this.#pages) return this.#page(bytes, at, end);
    if (end - at < MULTIFD.PREFIX_BYTES) return -MULTIFD.PREFIX_BYTES;
    if (!isPrefix(bytes, at)) return this.#lose('not a multifd packet');
    return this.#greeted ? this.#packet(bytes, at, end) : this.#hello(bytes, at, end);
  }

  #lose(why: string): 0 {
    this.#lost = true;
    this.note({ type: 'lost', atByte: this.position, why });
    return 0;
  }

  #hello(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < MULTIFD.HELLO_BYTES) return -MULTIFD.HELLO_BYTES;
    this.span('multifd-hello', bytes, at, at + MULTIFD.HELLO_BYTES);
    this.#greeted = true;
    return MULTIFD.HELLO_BYTES;
  }

  #packet(bytes: Uint8Array, at: number, end: number): number {
    const flags = u32(bytes, at + 8);
    if ((flags & ~KNOWN_FLAGS) !== 0) return this.#lose('flags of multifd that are not known');
    if ((flags & MULTIFD.FLAG_DEVICE_STATE) !== 0) return this.#deviceState(bytes, at, end);
    if (end - at < MULTIFD.PAGES_HEADER_BYTES) return -MULTIFD.PAGES_HEADER_BYTES;
    const header = readPages(bytes, at, this.#context.pageBytes);
    if (header === undefined) return this.#lose('not a packet of pages');
    if (end - at < header.headerBytes) return -header.headerBytes;
    this.span('multifd-header', bytes, at, at + header.headerBytes);
    const { pages, zeroPages, payloadBytes } = header;
    this.note({ type: 'multifd-packet', pages, zeroPages });
    const plain = (flags & MULTIFD.FLAG_METHOD) === 0;
    if (plain && payloadBytes === pages * header.pageBytes && this.#names(bytes, at, header)) {
      this.#pages = pages;
      this.#nextPage = 0;
    } else {
      this.pass('multifd-data', payloadBytes);
    }
    return header.headerBytes;
  }

  #deviceState(bytes: Uint8Array, at: number, end: number): number {
    const headerBytes = MULTIFD.DEVICE_HEADER_BYTES;
    if (end - at < headerBytes) return -headerBytes;
    this.span('multifd-header', bytes, at, at + headerBytes);
    this.pass('multifd-data', u32(bytes, at + headerBytes - 4));
    return headerBytes;
  }

  /** Records the packet's block and addresses; false if they are not in a known block. */
  #names(bytes: Uint8Array, at: number, { pages, pageBytes }: PagesHeader): boolean {
    const nameAt = at + MULTIFD.PAGES_HEADER_BYTES - MULTIFD.NAME_BYTES;
    this.#block = this.#context.block(nameOf(bytes, nameAt) ?? '');
    if (this.#block === undefined || pageBytes !== this.#context.pageBytes) return pages === 0;
    for (let index = 0; index < pages; index += 1) {
      const address = u64(bytes, at + MULTIFD.PAGES_HEADER_BYTES + 8 * index);
      if (!this.#context.holds(this.#block, address)) return false;
      this.#addresses[index] = address;
    }
    return true;
  }

  #page(bytes: Uint8Array, at: number, end: number): number {
    const { pageBytes } = this.#context;
    if (end - at < pageBytes) return -pageBytes;
    const record = this.#record;
    record.block = this.#block ?? NO_BLOCK;
    record.address = this.#addresses[this.#nextPage] ?? 0;
    this.#nextPage += 1;
    this.page(record, bytes, { itemStart: at, start: at, end: at + pageBytes });
    return pageBytes;
  }

  /** Passes on unrecognized bytes up to the next possible packet. */
  #seek(bytes: Uint8Array, at: number, end: number): number {
    let found = at;
    let needed = 0;
    for (; found < end && needed === 0; found += 1) {
      if (bytes[found] !== MULTIFD.MAGIC >>> 24) continue;
      const match = packetAt(bytes, found, end, this.#context.pageBytes);
      if (match === 0 || (match < 0 && this.ended)) continue;
      needed = match;
      found -= 1;
    }
    if (found > at) {
      this.span('unknown', bytes, at, found);
      return found - at;
    }
    if (needed < 0) return needed;
    this.#lost = false;
    this.#greeted = true;
    this.note({ type: 'found', atByte: this.position });
    return 0;
  }
}

interface PageOf {
  block: RamBlock;
  address: number;
  readonly header: 'none';
}

const NO_BLOCK: RamBlock = { index: -1, name: '', usedBytes: 0 };

interface PagesHeader {
  readonly pages: number;
  readonly zeroPages: number;
  readonly payloadBytes: number;
  readonly pageBytes: number;
  /** Includes the list of offsets, which has space for a whole packet. */
  readonly headerBytes: number;
}

function isPrefix(bytes: Uint8Array, at: number): boolean {
  return u32(bytes, at) === MULTIFD.MAGIC && u32(bytes, at + 4) === MULTIFD.VERSION;
}

/** If the page capacity is 0 (a sync since 9.0 leaves it empty), it follows from the page size. */
function readPages(bytes: Uint8Array, at: number, pageBytes: number): PagesHeader | undefined {
  const usual = MULTIFD.PACKET_BYTES / pageBytes;
  const room = u32(bytes, at + 12) || usual;
  const pages = u32(bytes, at + 16);
  const zeroPages = u32(bytes, at + 32);
  if (room < MIN_PAGES || room > MAX_PAGES || pages + zeroPages > room) return undefined;
  if (nameOf(bytes, at + MULTIFD.PAGES_HEADER_BYTES - MULTIFD.NAME_BYTES) === undefined) {
    return undefined;
  }
  return {
    pages,
    zeroPages,
    // Up to 8.2, a sync without pages still has the previous packet's size.
    payloadBytes: pages === 0 ? 0 : u32(bytes, at + 20),
    pageBytes: MULTIFD.PACKET_BYTES / room,
    headerBytes: MULTIFD.PAGES_HEADER_BYTES + 8 * room,
  };
}

/** Name in a field of fixed length, terminated by 0; undefined if it is invalid. */
function nameOf(bytes: Uint8Array, at: number): string | undefined {
  let stop = at;
  while (stop < at + MULTIFD.NAME_BYTES && bytes[stop] !== 0) stop += 1;
  if (stop === at + MULTIFD.NAME_BYTES || !isPrintable(bytes, at, stop)) return undefined;
  return text(bytes, at, stop);
}

/** Result for resynchronization: 1 for a packet, 0 for none, or minus the bytes needed to decide. */
function packetAt(bytes: Uint8Array, at: number, end: number, pageBytes: number): number {
  if (end - at < MULTIFD.PREFIX_BYTES) {
    const known = [0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1];
    const length = Math.min(end - at, known.length);
    for (let index = 0; index < length; index += 1) {
      if (bytes[at + index] !== known[index]) return 0;
    }
    return -MULTIFD.PREFIX_BYTES;
  }
  const flags = u32(bytes, at + 8);
  if (!isPrefix(bytes, at) || (flags & ~KNOWN_FLAGS) !== 0) return 0;
  if ((flags & MULTIFD.FLAG_DEVICE_STATE) !== 0) {
    if (end - at < MULTIFD.DEVICE_HEADER_BYTES) return -MULTIFD.DEVICE_HEADER_BYTES;
    return nameOf(bytes, at + MULTIFD.PREFIX_BYTES) === undefined ? 0 : 1;
  }
  if (end - at < MULTIFD.PAGES_HEADER_BYTES) return -MULTIFD.PAGES_HEADER_BYTES;
  return readPages(bytes, at, pageBytes) === undefined ? 0 : 1;
}
