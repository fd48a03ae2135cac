import {
  closeSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { godwitError } from '../errors.ts';

const datasync = promisify(fdatasync);

/** Guards against a journal that somebody else grew: no build writes so much. */
export const MAX_JOURNAL_BYTES = 64 * 1024 * 1024;

/** A journal's file, open for appending; a simulation gives its own. */
export interface JournalFile {
  /** All that lies there. */
  read(): Buffer;
  /** Hands bytes of `line`, from `at` on, to the kernel; answers how many it took. Throws when it takes none. */
  write(line: Buffer, at: number): number;
  truncate(bytes: number): void;
  /** Resolves once all that was written lies on the disk. */
  sync(): Promise<void>;
  close(): void;
}

/** Opens a journal's file, and makes its own entry in its directory durable. */
export type OpenJournalFile = (file: string) => JournalFile;

export const openJournalFile: OpenJournalFile = (file) => {
  const fd = openSync(file, 'a+', 0o600);
  syncDirectory(path.dirname(file));
  return {
    read: () => readJournalBytes(file),
    write: (line, at) => writeSync(fd, line, at),
    truncate: (bytes) => ftruncateSync(fd, bytes),
    sync: () => datasync(fd),
    close: () => closeSync(fd),
  };
};

/** Makes the entries of a directory durable. */
export function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export function readJournalBytes(file: string): Buffer {
  const bytes = readFileSync(file);
  if (bytes.length > MAX_JOURNAL_BYTES) {
    throw godwitError('GODWIT_TOO_LARGE', {
      what: `the journal ${file}`,
      limit: MAX_JOURNAL_BYTES,
    });
  }
  return bytes;
}
