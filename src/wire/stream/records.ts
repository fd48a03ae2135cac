import { Framer } from './framer.ts';
import type { StreamContext } from './context.ts';
import { isPrintable, text, u16, u32 } from './fields.ts';
import { RAM_FLAG, XBZRLE_ENCODING } from './format.ts';
import type { RamBlock, RamRecord, StreamSink } from './types.ts';

const FLAG_OF = { page: RAM_FLAG.PAGE, zero: RAM_FLAG.ZERO, xbzrle: RAM_FLAG.XBZRLE } as const;

/** Record header on the wire. Sinks do not receive it, because it follows from the record. */
export function recordHeader(kind: keyof typeof FLAG_OF, record: RamRecord): Buffer {
  const { block, address, header } = record;
  if (header === 'none') return Buffer.alloc(0);
  const named = header === 'named';
  const name = Buffer.from(named ? block.name : '', 'latin1');
  const bytes = Buffer.alloc(8 + (named ? 1 + name.length : 0));
  const flags = FLAG_OF[kind] | (named ? 0 : RAM_FLAG.CONTINUE);
  bytes.writeBigUInt64BE(BigInt(address) + BigInt(flags));
  if (named) {
    bytes[8] = name.length;
    name.copy(bytes, 9);
  }
  return bytes;
}

const NO_BLOCK: RamBlock = { index: -1, name: '', usedBytes: 0 };

/** Parsed header, reused for each record. */
class RecordHead implements RamRecord {
  block: RamBlock = NO_BLOCK;
  address = 0;
  header: 'named' | 'continued' | 'none' = 'none';
  type = 0;
  headerBytes = 0;
}

/** RAM records, equal on the main channel and post-copy's second one. */
export abstract class RamFramer extends Framer {
  protected readonly context: StreamContext;
  readonly #place = new RecordHead();
  #block: RamBlock | undefined;

  constructor(sink: StreamSink, context: StreamContext) {
    super(sink);
    this.context = context;
  }

  /** The sink has received the section's end mark. */
  protected abstract ramEnded(): void;
  /** A block list of this total size follows; false if it is impossible here. */
  protected abstract ramListBegins(totalBytes: number): boolean;

  /** Like a step, with 0 for an invalid record. */
  protected ramRecord(bytes: Uint8Array, at: number, end: number): number {
    const placed = this.place(bytes, at, end);
    if (placed <= 0) return placed;
    const place = this.#place;
    switch (place.type) {
      case RAM_FLAG.PAGE:
        return this.#page(bytes, at, end);
      case RAM_FLAG.ZERO:
        return this.#zero(bytes, at, end);
      case RAM_FLAG.XBZRLE:
        return this.#xbzrle(bytes, at, end);
      case RAM_FLAG.COMPRESS_PAGE:
        return this.#compressed(bytes, at, end);
      case RAM_FLAG.MEM_SIZE:
        if (!this.ramListBegins(place.address)) return 0;
        this.span('ram-list', bytes, at, at + 8);
        return 8;
      default:
        this.span('ram-control', bytes, at, at + 8);
        if (place.type === RAM_FLAG.EOS) this.ramEnded();
        return 8;
    }
  }

  /**
   * Reads a record's header and block name: returns its length, 0 if it is invalid, or minus the bytes that it
   * needs.
   */
  protected place(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < 8) return -8;
    const low = u32(bytes, at + 4);
    const flags = low & (this.context.pageBytes - 1);
    const place = this.#place;
    place.type = flags & ~RAM_FLAG.CONTINUE;
    place.address = u32(bytes, at) * 0x1_0000_0000 + low - flags;
    place.headerBytes = 8;
    switch (place.type) {
      case RAM_FLAG.PAGE:
      case RAM_FLAG.ZERO:
      case RAM_FLAG.XBZRLE:
      case RAM_FLAG.COMPRESS_PAGE:
        if ((flags & RAM_FLAG.CONTINUE) === 0) return this.#named(bytes, at, end);
        if (this.#block === undefined || !this.context.holds(this.#block, place.address)) return 0;
        place.block = this.#block;
        place.header = 'continued';
        return 8;
      case RAM_FLAG.MEM_SIZE:
        return flags === place.type && Number.isSafeInteger(place.address) ? 8 : 0;
      case RAM_FLAG.EOS:
      case RAM_FLAG.MULTIFD_FLUSH:
        return flags === place.type && place.address === 0 ? 8 : 0;
      case RAM_FLAG.HOOK:
        return flags === place.type ? 8 : 0;
      default:
        return 0;
    }
  }

  /** Like `place`, but only for a page's record that names its block. */
  protected namedRecord(bytes: Uint8Array, at: number, end: number): number {
    const placed = this.place(bytes, at, end);
    return placed > 0 && placed < 9 ? 0 : placed;
  }

  #named(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < 9) return -9;
    const length = bytes[at + 8] ?? 0;
    const nameEnd = at + 9 + length;
    if (length === 0 || !isPrintable(bytes, at + 9, Math.min(end, nameEnd))) return 0;
    if (end < nameEnd) return at - nameEnd;
    const block = this.context.block(text(bytes, at + 9, nameEnd));
    const place = this.#place;
    if (block === undefined || !this.context.holds(block, place.address)) return 0;
    place.block = block;
    place.header = 'named';
    place.headerBytes = 9 + length;
    return place.headerBytes;
  }

  #page(bytes: Uint8Array, at: number, end: number): number {
    const start = at + this.#place.headerBytes;
    const stop = start + this.context.pageBytes;
    if (end < stop) return at - stop;
    this.#block = this.#place.block;
    this.page(this.#place, bytes, { itemStart: at, start, end: stop });
    return stop - at;
  }

  #zero(bytes: Uint8Array, at: number, end: number): number {
    const start = at + this.#place.headerBytes;
    if (end === start) return at - start - 1;
    if (bytes[start] !== 0) return 0;
    this.#block = this.#place.block;
    this.zero(this.#place, bytes, { itemStart: at, start, end: start + 1 });
    return start + 1 - at;
  }

  #xbzrle(bytes: Uint8Array, at: number, end: number): number {
    const start = at + this.#place.headerBytes;
    if (end < start + 3) return at - start - 3;
    const length = u16(bytes, start + 1);
    if (bytes[start] !== XBZRLE_ENCODING || length > this.context.pageBytes) return 0;
    const stop = start + 3 + length;
    if (end < stop) return at - stop;
    this.#block = this.#place.block;
    this.xbzrle(this.#place, bytes, { itemStart: at, start, end: stop });
    return stop - at;
  }

  #compressed(bytes: Uint8Array, at: number, end: number): number {
    const start = at + this.#place.headerBytes;
    if (end < start + 4) return at - start - 4;
    const length = u32(bytes, start);
    // zlib's output limit for a page.
    const { pageBytes } = this.context;
    if (length > pageBytes + (pageBytes >> 12) + (pageBytes >> 14) + 13) return 0;
    const stop = start + 4 + length;
    if (end < stop) return at - stop;
    this.#block = this.#place.block;
    this.span('compressed-page', bytes, at, stop);
    return stop - at;
  }
}
