import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import type { Hash64 } from '../codec/contents.ts';
import { PAGE_BYTES } from '../codec/item.ts';
import { ID_BYTES } from '../codec/settings.ts';

/**
 * A segment has two files: NAME.pages with pages, and NAME.names with each page's name and a checksum over both.
 * A page is written before its record, and a reopened segment is never written. After a crash, complete records
 * are valid, or fail their checksum when read.
 */
export const RECORD_BYTES = ID_BYTES + 8;
export const ENTRY_BYTES = PAGE_BYTES + RECORD_BYTES;
/** Number of segments within a store's limit; the oldest is dropped as a whole. */
const SEGMENTS = 64;
const MIN_SEGMENT_PAGES = 4;
const TAIL_PAGES = 32;

const checked = Buffer.alloc(ID_BYTES + PAGE_BYTES);

function checkOf(hash64: Hash64, name: Uint8Array, page: Uint8Array): bigint {
  checked.set(name);
  checked.set(page, ID_BYTES);
  return hash64(checked);
}

export function segmentPages(mostBytes: number): number {
  return Math.max(MIN_SEGMENT_PAGES, Math.floor(mostBytes / SEGMENTS / ENTRY_BYTES));
}

/** Size of both files; 0 if they are gone. */
export function segmentBytes(path: string): number {
  const size = (end: string) => statSync(path + end, { throwIfNoEntry: false })?.size ?? 0;
  return size('.pages') + size('.names');
}

export function removeSegment(path: string): void {
  for (const end of ['.names', '.pages']) {
    try {
      unlinkSync(path + end);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** Pages of one segment, for reading, and for appending if this process created it. */
export class Segment {
  readonly path: string;
  readonly #hash64: Hash64;
  readonly #pages: number;
  readonly #names: number | undefined;
  #records: Buffer;
  #count: number;
  #written: number;
  /** Pages waiting to be written, if this process appends. */
  readonly #tail: Buffer;
  readonly #asked: Uint8Array;

  private constructor(
    path: string,
    hash64: Hash64,
    files: { readonly pages: number; readonly names: number | undefined },
    records: Buffer,
    count: number,
  ) {
    this.path = path;
    this.#hash64 = hash64;
    this.#pages = files.pages;
    this.#names = files.names;
    this.#records = records;
    this.#count = count;
    this.#written = count;
    this.#tail = Buffer.alloc(files.names === undefined ? 0 : TAIL_PAGES * PAGE_BYTES);
    this.#asked = new Uint8Array(records.length / RECORD_BYTES);
  }

  static create(path: string, most: number, hash64: Hash64): Segment {
    const pages = openSync(`${path}.pages`, 'wx+', 0o600);
    const names = openSync(`${path}.names`, 'wx', 0o600);
    return new Segment(path, hash64, { pages, names }, Buffer.alloc(most * RECORD_BYTES), 0);
  }

  /** Opens an existing segment; incomplete entries are ignored. */
  static open(path: string, hash64: Hash64): Segment {
    const records = readFileSync(`${path}.names`);
    const pages = openSync(`${path}.pages`, 'r');
    const whole = Math.floor(fstatSync(pages).size / PAGE_BYTES);
    const count = Math.min(Math.floor(records.length / RECORD_BYTES), whole);
    return new Segment(path, hash64, { pages, names: undefined }, records, count);
  }

  get count(): number {
    return this.#count;
  }

  /** Size of both files, including unwritten data. */
  get bytes(): number {
    return this.#count * ENTRY_BYTES;
  }

  get open(): boolean {
    return this.#names !== undefined && (this.#count + 1) * RECORD_BYTES <= this.#records.length;
  }

  nameAt(page: number): Buffer {
    return this.#records.subarray(page * RECORD_BYTES, page * RECORD_BYTES + ID_BYTES);
  }

  /** Page, or undefined if it differs from the stored one. */
  read(page: number, bytes: Buffer = Buffer.allocUnsafe(PAGE_BYTES)): Buffer | undefined {
    if (page >= this.#count) return undefined;
    this.#asked[page] = 1;
    if (page >= this.#written) {
      const start = (page - this.#written) * PAGE_BYTES;
      this.#tail.copy(bytes, 0, start, start + PAGE_BYTES);
      return bytes;
    }
    if (readSync(this.#pages, bytes, 0, PAGE_BYTES, page * PAGE_BYTES) !== PAGE_BYTES) {
      return undefined;
    }
    const check = this.#records.readBigUInt64LE(page * RECORD_BYTES + ID_BYTES);
    return checkOf(this.#hash64, this.nameAt(page), bytes) === check ? bytes : undefined;
  }

  /** Newest pages read since they were stored, at most half of all. */
  asked(): { readonly name: Buffer; readonly page: Buffer }[] {
    const kept: { readonly name: Buffer; readonly page: Buffer }[] = [];
    for (let at = this.#count - 1; at >= 0 && (kept.length + 1) * 2 <= this.#count; at -= 1) {
      const page = this.#asked[at] === 1 ? this.read(at) : undefined;
      if (page !== undefined) kept.push({ name: this.nameAt(at), page });
    }
    return kept;
  }

  /** Appends a page and returns its number. Only while `open`. */
  append(name: Uint8Array, page: Uint8Array): number {
    const at = this.#count * RECORD_BYTES;
    this.#records.set(name, at);
    this.#records.writeBigUInt64LE(checkOf(this.#hash64, name, page), at + ID_BYTES);
    this.#tail.set(page, (this.#count - this.#written) * PAGE_BYTES);
    this.#count += 1;
    if (this.#count - this.#written === TAIL_PAGES) this.flush();
    return this.#count - 1;
  }

  /** Writes the waiting pages, then their records. Throws the system's error, such as a full disk. */
  flush(): void {
    const from = this.#written;
    if (this.#names === undefined || from === this.#count) return;
    const pages = this.#tail.subarray(0, (this.#count - from) * PAGE_BYTES);
    writeAll(this.#pages, pages, from * PAGE_BYTES);
    const records = this.#records.subarray(from * RECORD_BYTES, this.#count * RECORD_BYTES);
    writeAll(this.#names, records, from * RECORD_BYTES);
    this.#written = this.#count;
  }

  close(): void {
    try {
      this.flush();
    } finally {
      closeSync(this.#pages);
      if (this.#names !== undefined) closeSync(this.#names);
    }
  }
}

/** Writes everything; throws if the disk is full. */
export function writeAll(descriptor: number, bytes: Buffer, position: number): void {
  let at = 0;
  while (at < bytes.length) {
    at += writeSync(descriptor, bytes, at, bytes.length - at, position + at);
  }
}
