import {
  closeSync,
  constants,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { entriesOf, type Entry, type PagerState } from './journal.ts';
import * as kernel from './kernel.ts';

/** A journal is written anew once it has so many bytes more than twice what it had then. */
const MIN_BYTES = 256 * 1024;
/** Room that is set aside at once, and what of it has to be left before a message is read. */
const ROOM_BYTES = 64 * 1024;
const MIN_ROOM_BYTES = 16 * 1024;
/** Until a write is tried again that the disk had no room for. */
const AGAIN_MS = 50;
const { ENOSYS, EOPNOTSUPP } = kernel.ERRNO;

/**
 * The journal of a pager on its disk. Room for the next entries is set aside before anything is read that would have to be
 * written down, and it is written anew, shorter, before it grows without a bound.
 */
export class JournalFile {
  readonly #file: string;
  #fd: number;
  #bytes: number;
  #roomBytes = 0;
  #mostBytes: number;

  constructor(file: string) {
    this.#file = file;
    this.#fd = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
    // A last line that is torn would be the beginning of the next one.
    const before = readFileSync(this.#fd);
    this.#bytes = before.lastIndexOf('\n') + 1;
    // Else what is set aside behind it stays so.
    if (this.#bytes < before.length) ftruncateSync(this.#fd, this.#bytes);
    this.#mostBytes = this.#bytes + MIN_BYTES;
  }

  get text(): string {
    return readFileSync(this.#file, 'utf8');
  }

  /** Of the lines that are whole. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether what a message says could be written down. */
  hasRoom(): boolean {
    if (this.#roomBytes - this.#bytes >= MIN_ROOM_BYTES) return true;
    if (!setsAside(this.#fd, this.#bytes)) return false;
    this.#roomBytes = this.#bytes + ROOM_BYTES;
    return true;
  }

  write(entry: Entry): void {
    const bytes = Buffer.from(lineOf(entry));
    for (let at = 0; at < bytes.length;) {
      const written = onceThereIsRoom(() => writeSync(this.#fd, bytes, at, null, this.#bytes));
      at += written;
      this.#bytes += written;
    }
  }

  get isLong(): boolean {
    return this.#bytes >= this.#mostBytes;
  }

  /** Writes it anew, as short as it can be. Where the disk has no room for that it stays as it is. */
  shorten(known: PagerState): void {
    const text = Buffer.from(entriesOf(known).map(lineOf).join(''));
    this.#mostBytes = this.#bytes + MIN_BYTES;
    const next = `${this.#file}.new`;
    let fd: number | undefined;
    try {
      fd = openSync(next, 'w', 0o600);
      for (let at = 0; at < text.length;) at += writeSync(fd, text, at);
      // The room that the old one has set aside goes with it.
      if (!setsAside(fd, text.length)) return letGoOf(next, fd);
      renameSync(next, this.#file);
    } catch (error) {
      letGoOf(next, fd);
      if (isFull(error)) return;
      throw error;
    }
    closeSync(this.#fd);
    [this.#fd, this.#bytes, this.#roomBytes] = [fd, text.length, text.length + ROOM_BYTES];
    this.#mostBytes = 2 * text.length + MIN_BYTES;
  }
}

/** Room for the next entries; true also where the file system cannot do that: then the write waits for it. */
function setsAside(fd: number, bytes: number): boolean {
  return [0, EOPNOTSUPP, ENOSYS].includes(kernel.reserve(fd, bytes, ROOM_BYTES));
}

/** One that is not whole has what may be the last room of its disk. */
function letGoOf(file: string, fd: number | undefined): void {
  if (fd !== undefined) closeSync(fd);
  rmSync(file, { force: true });
}

const lineOf = (entry: Entry): string => `${JSON.stringify(entry)}\n`;

/** What was read has to be written down before this process does anything else: it waits for the disk, and all with it. */
function onceThereIsRoom<T>(write: () => T): T {
  for (;;) {
    try {
      return write();
    } catch (error) {
      if (!isFull(error)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, AGAIN_MS);
    }
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(ENOSPC|EDQUOT)$/.test(String(error.code));
}
