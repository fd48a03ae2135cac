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

/** No build writes this much; protects readers from journals that another process grew. */
export const MAX_JOURNAL_BYTES = 64 * 1024 * 1024;

export interface JournalFile {
  read(): Buffer;
  /** Passes `line` from `at` on to the kernel, and returns the accepted length. Throws if nothing is accepted. */
  write(line: Buffer, at: number): number;
  truncate(bytes: number): void;
  /** Resolves when all writes are on the disk. */
  sync(): Promise<void>;
  close(): void;
}

/** Opens a journal's file, and makes its directory entry durable. */
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

/** Reserve for a journal on a disk that others, such as a guest's serial log, may fill. */
const ROOM_BYTES = 256 * 1024;
/** Part released per record: the process that fills the disk gets only the rest of it. */
const GIVEN_BYTES = 8 * 1024;

/** A file of zeros next to a journal, created when there is room, and released in pieces when there is none. */
class Room {
  readonly #file: string;
  #left = ROOM_BYTES;

  constructor(file: string) {
    this.#file = file;
    try {
      writeFileSync(file, Buffer.alloc(ROOM_BYTES), { mode: 0o600 });
    } catch {
      // The disk is full already: use the existing part.
      this.#left = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    }
  }

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
