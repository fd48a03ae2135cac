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

/** A journal is rewritten once it exceeds twice its last size by this. */
const MIN_BYTES = 256 * 1024;
/** Space reserved at once, and the minimum left before a message is read. */
const ROOM_BYTES = 64 * 1024;
const MIN_ROOM_BYTES = 16 * 1024;
const AGAIN_MS = 50;
const { ENOSYS, EOPNOTSUPP } = kernel.ERRNO;

/**
 * Pager's journal on disk. Space for the next entries is reserved before a message that needs one is read. The
 * journal is rewritten in a shorter form before it grows too large.
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
    // A torn last line would become part of the next line.
    const before = readFileSync(this.#fd);
    this.#bytes = before.lastIndexOf('\n') + 1;
    // Otherwise the space reserved behind it stays.
    if (this.#bytes < before.length) ftruncateSync(this.#fd, this.#bytes);
    this.#mostBytes = this.#bytes + MIN_BYTES;
  }

  get text(): string {
    return readFileSync(this.#file, 'utf8');
  }

  get bytes(): number {
    return this.#bytes;
  }

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

  /** Rewrites it as short as possible. Unchanged if the disk has no space for that. */
  shorten(known: PagerState): void {
    const text = Buffer.from(entriesOf(known).map(lineOf).join(''));
    this.#mostBytes = this.#bytes + MIN_BYTES;
    const next = `${this.#file}.new`;
    let fd: number | undefined;
    try {
      fd = openSync(next, 'w', 0o600);
      for (let at = 0; at < text.length;) at += writeSync(fd, text, at);
      // The old file's reserved space goes with it.
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

/**
 * Reserves space for the next entries; also true if the file system does not support it, in which case the write
 * waits.
 */
function setsAside(fd: number, bytes: number): boolean {
  return [0, EOPNOTSUPP, ENOSYS].includes(kernel.reserve(fd, bytes, ROOM_BYTES));
}

/** An incomplete file may occupy the disk's last space. */
function letGoOf(file: string, fd: number | undefined): void {
  if (fd !== undefined) closeSync(fd);
  rmSync(file, { force: true });
}

const lineOf = (entry: Entry): string => `${JSON.stringify(entry)}\n`;

/** A message that was read must be recorded before anything else, so this process blocks until the disk has space. */
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
