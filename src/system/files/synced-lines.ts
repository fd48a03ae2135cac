import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { syncDirectory } from '../journal-file.ts';
import { renameSynced } from './whole-file.ts';

/**
 * An append-only file of lines that is rewritten at intervals. Appended lines are on the disk when the call returns. A
 * power loss may cut the last line, or several of one call, so readers check each line.
 */
export class SyncedLines {
  readonly #file: string;
  #count = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** Lines in the file, obsolete ones included. */
  get count(): number {
    return this.#count;
  }

  read(): string[] {
    const text = existsSync(this.#file) ? readFileSync(this.#file, 'utf8') : '';
    const lines = text.split('\n');
    this.#count = lines.length;
    return lines;
  }

  append(lines: readonly string[]): void {
    // Starts with a line break, in case the file ends in a cut line.
    write(this.#file, 'a', `\n${lines.join('\n')}\n`);
    this.#count += lines.length + 1;
  }

  writeAnew(lines: readonly string[]): void {
    const next = `${this.#file}.tmp`;
    write(next, 'w', lines.map((line) => `${line}\n`).join(''));
    renameSynced(next, this.#file);
    this.#count = lines.length;
  }
}

function write(file: string, flag: 'a' | 'w', text: string): void {
  const isNew = !existsSync(file);
  const fd = openSync(file, flag, 0o600);
  try {
    writeAll(Buffer.from(text), (bytes) => writeSync(fd, bytes));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  if (isNew) syncDirectory(path.dirname(file));
}

/** Repeats partial writes. Throws as `take` does if nothing is accepted. */
export function writeAll(bytes: Buffer, take: (bytes: Buffer) => number): void {
  for (let at = 0; at < bytes.length;) {
    const taken = take(bytes.subarray(at));
    if (taken <= 0) throw new Error(`${bytes.length - at} bytes could not be written`);
    at += taken;
  }
}
