import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { syncDirectory } from '../journal-file.ts';
import { renameSynced } from './whole-file.ts';

/**
 * A file of lines that grows at its end and is written anew now and then. What was added lies on the disk when the call
 * returns. After a power loss the last line may be cut, or several of one call: whoever reads checks each line.
 */
export class SyncedLines {
  readonly #file: string;
  #count = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** Lines in the file, also those that count no more. */
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
    // A line break first: the file may end in a line that was cut.
    write(this.#file, 'a', `\n${lines.join('\n')}\n`);
    this.#count += lines.length + 1;
  }

  /** Replaces everything that is there. */
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

/** The kernel may take less than it is given. Throws where it takes nothing, as `take` does. */
export function writeAll(bytes: Buffer, take: (bytes: Buffer) => number): void {
  for (let at = 0; at < bytes.length;) {
    const taken = take(bytes.subarray(at));
    if (taken <= 0) throw new Error(`${bytes.length - at} bytes could not be written`);
    at += taken;
  }
}
