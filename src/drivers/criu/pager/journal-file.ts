import {
  closeSync,
  constants,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { entriesOf } from './journal.ts';
import type { Entry, Known } from './journal.ts';
import * as kernel from './kernel.ts';

/** A journal is written anew once it has so many bytes more than twice what it had then. */
const LEAST_BYTES = 256 * 1024;
/** Room that is set aside at once, and what of it has to be left before a message is read. */
const ROOM_BYTES = 64 * 1024;
const LEAST_ROOM_BYTES = 16 * 1024;
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
    this.#mostBytes = this.#bytes + LEAST_BYTES;
  }

  get text(): string {
    return readFileSync(this.#file, 'utf8');
  }

  /** Whether what a message says could be written down. */
  hasRoom(): boolean {
    if (this.#roomBytes - this.#bytes >= LEAST_ROOM_BYTES) return true;
    const errno = kernel.reserve(this.#fd, this.#bytes, ROOM_BYTES);
    // Where room cannot be set aside, the write waits for it.
    if (errno !== 0 && errno !== EOPNOTSUPP && errno !== ENOSYS) return false;
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
  shorten(known: Known): void {
    const text = Buffer.from(entriesOf(known).map(lineOf).join(''));
    this.#mostBytes = this.#bytes + LEAST_BYTES;
    let fd: number | undefined;
    try {
      fd = openSync(`${this.#file}.new`, 'w', 0o600);
      for (let at = 0; at < text.length;) at += writeSync(fd, text, at);
      renameSync(`${this.#file}.new`, this.#file);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      if (isFull(error)) return;
      throw error;
    }
    closeSync(this.#fd);
    [this.#fd, this.#bytes, this.#roomBytes] = [fd, text.length, 0];
    this.#mostBytes = 2 * text.length + LEAST_BYTES;
  }
}

const lineOf = (entry: Entry): string => `${JSON.stringify(entry)}\n`;

/** What was read has to be written down before this process does anything else: it waits for the disk, and all with it. */
export function onceThereIsRoom<T>(write: () => T): T {
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
