import { recordHeader } from '../../../src/wire/stream/records.ts';
import type {
  RamRecord,
  SpanKind,
  StreamNote,
  StreamSink,
} from '../../../src/wire/stream/types.ts';

/** One call of a sink, with copies of what was shown. */
export interface Item {
  readonly kind: SpanKind | 'page' | 'zero' | 'xbzrle';
  readonly bytes: Buffer;
  /** Of a record: its block, its address, how it begins. */
  readonly about?: string;
}

/** Keeps all that a parser reports. */
export class Collector implements StreamSink {
  readonly items: Item[] = [];
  readonly notes: StreamNote[] = [];
  readonly pages = { page: 0, zero: 0, xbzrle: 0 };
  /** Of all items. */
  bytes = 0;

  span(kind: SpanKind, bytes: Uint8Array, start: number, end: number): void {
    this.bytes += end - start;
    this.items.push({ kind, bytes: Buffer.from(bytes.subarray(start, end)) });
  }

  page(record: RamRecord, bytes: Uint8Array, start: number, end: number): void {
    this.#record('page', record, bytes.subarray(start, end));
  }

  zero(record: RamRecord): void {
    this.#record('zero', record, record.header === 'none' ? Buffer.alloc(0) : Buffer.alloc(1));
  }

  xbzrle(record: RamRecord, bytes: Uint8Array, start: number, end: number): void {
    this.#record('xbzrle', record, bytes.subarray(start, end));
  }

  note(note: StreamNote): void {
    this.notes.push(note);
  }

  /** All bytes that were reported, in order: what a codec gives back at the other end. */
  joined(): Buffer {
    return Buffer.concat(this.items.map(({ bytes }) => bytes));
  }

  /** The same for each way of cutting the input: spans that follow one of their kind are one. */
  merged(): Item[] {
    const merged: { item: Item; parts: Buffer[] }[] = [];
    for (const item of this.items) {
      const before = merged.at(-1);
      if (before !== undefined && before.item.kind === item.kind && item.about === undefined) {
        before.parts.push(item.bytes);
      } else {
        merged.push({ item, parts: [item.bytes] });
      }
    }
    return merged.map(({ item, parts }) => ({ ...item, bytes: Buffer.concat(parts) }));
  }

  /** What kinds there are, in order, without repeats. */
  kinds(): string[] {
    return this.merged()
      .map(({ kind }) => kind)
      .filter((kind, index, all) => kind !== all[index - 1]);
  }

  bytesOf(kind: Item['kind']): number {
    return this.items
      .filter((item) => item.kind === kind)
      .reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  #record(kind: 'page' | 'zero' | 'xbzrle', record: RamRecord, content: Uint8Array): void {
    this.pages[kind] += 1;
    const { block, address, header } = record;
    const bytes = Buffer.concat([recordHeader(kind, record), content]);
    this.bytes += bytes.length;
    this.items.push({
      kind,
      bytes,
      about: `${block.index} ${block.name} ${address} ${header}`,
    });
  }
}
