import {
  closeSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { godwitError } from '../errors.ts';
import { formatBytes } from '../protocol/quantity.ts';

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
  const room = new Room(`${file}.room`);
  syncDirectory(path.dirname(file));
  return {
    read: () => readJournalBytes(file),
    write: (line, at) => {
      for (;;) {
        try {
          return writeSync(fd, line, at);
        } catch (cause) {
          if (!isFull(cause) || !room.give()) throw cause;
        }
      }
    },
    truncate: (bytes) => ftruncateSync(fd, bytes),
    sync: () => datasync(fd),
    close: () => {
      closeSync(fd);
      room.close();
    },
  };
};

/** Room that is kept for a journal on a disk that others fill, such as a guest by its serial log. */
const ROOM_BYTES = 256 * 1024;
/** So much of it is given up each time: whoever fills the disk gets what the record leaves of that, and no more. */
const GIVEN_BYTES = 8 * 1024;

/** A file of zeros beside a journal, made when there is room, and given up piece by piece when there is none. */
class Room {
  readonly #file: string;
  #left = ROOM_BYTES;

  constructor(file: string) {
    this.#file = file;
    try {
      writeFileSync(file, Buffer.alloc(ROOM_BYTES), { mode: 0o600 });
    } catch {
      // The disk is full already: what could be written of it is what there is.
      this.#left = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    }
  }

  /** False once nothing is left to give. */
  give(): boolean {
    if (this.#left === 0) return false;
    this.#left = Math.max(0, this.#left - GIVEN_BYTES);
    try {
      truncateSync(this.#file, this.#left);
      return true;
    } catch {
      this.#left = 0;
      return false;
    }
  }

  close(): void {
    rmSync(this.#file, { force: true });
  }
}

function isFull(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

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
      limit: formatBytes(MAX_JOURNAL_BYTES),
    });
  }
  return bytes;
}
