import { closeSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import { godwitError } from '../../errors.ts';
import { MAX_JOURNAL_BYTES } from '../../system/journal-file.ts';
import { LineReader, mustBeWhole, type JournalKind, type JournalRecord } from './journal-lines.ts';
import { formatBytes } from '../../protocol/quantity.ts';

export class JournalReader<T extends JournalRecord> {
  readonly #file: string;
  readonly #kind: JournalKind<T>;
  #lines: LineReader<T>;
  #records: T[] = [];
  #seen: Stats | undefined;

  constructor(file: string, kind: JournalKind<T>) {
    this.#file = file;
    this.#kind = kind;
    this.#lines = new LineReader(kind);
  }

  /**
   * All records so far; the same array while the file only grows. GODWIT_JOURNAL_DAMAGED for a damaged file,
   * GODWIT_TOO_LARGE for an oversized one; both until the file changes.
   */
  read(): readonly T[] {
    const stat = statSync(this.#file, { throwIfNoEntry: false });
    if (stat === undefined || this.#isAnother(stat)) {
      this.#lines = new LineReader(this.#kind);
      this.#records = [];
    }
    const isNews = stat !== undefined && !isSame(stat, this.#seen);
    this.#seen = stat;
    if (stat !== undefined && stat.size > MAX_JOURNAL_BYTES) {
      const what = `the journal ${this.#file}`;
      throw godwitError('GODWIT_TOO_LARGE', { what, limit: formatBytes(MAX_JOURNAL_BYTES) });
    }
    if (isNews)
      for (const each of this.#lines.take(this.#rest(stat.size))) this.#records.push(each);
    mustBeWhole(this.#file, this.#lines.damage);
    return this.#records;
  }

  /** Replaced, truncated, rewritten in place, or changed since it was found damaged. */
  #isAnother(stat: Stats): boolean {
    const seen = this.#seen;
    if (seen === undefined || isSame(stat, seen)) return false;
    if (stat.ino !== seen.ino || stat.size < this.#lines.bytes) return true;
    return stat.size === seen.size || this.#lines.damage !== undefined;
  }

  #rest(size: number): Buffer {
    const from = this.#lines.bytes;
    const bytes = Buffer.alloc(Math.max(0, size - from));
    if (bytes.length === 0) return bytes;
    const fd = openSync(this.#file, 'r');
    try {
      let got = 0;
      // A mover may cut a torn end meanwhile.
      for (let count = 1; count > 0 && got < bytes.length; got += count) {
        count = readSync(fd, bytes, got, bytes.length - got, from + got);
      }
      return bytes.subarray(0, got);
    } finally {
      closeSync(fd);
    }
  }
}

function isSame(left: Stats, right: Stats | undefined): boolean {
  if (right === undefined || left.ino !== right.ino) return false;
  return left.size === right.size && left.mtimeMs === right.mtimeMs;
}
