import {
  closeSync,
  existsSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { z } from 'zod';
import type { Clock } from '../clock.ts';
import { godwitError } from '../errors.ts';
import {
  decodeRecords,
  destinationRecord,
  encodeRecord,
  sourceRecord,
} from '../migration/journal.ts';
import type { DestinationRecord, SourceRecord } from '../migration/journal.ts';
import { whatIsWrong } from '../protocol/errors.ts';
import { journalFile } from '../protocol/mover-request.ts';

const datasync = promisify(fdatasync);

/** Unsynced records reach the disk after so long at most, ms. */
const LATER_MS = 100;

/** Guards against a journal that somebody else grew: 64 MiB is some 100,000 records. */
const MAX_BYTES = 64 * 1024 * 1024;

interface Stamped<E> {
  readonly v: 1;
  readonly seq: number;
  readonly at: number;
  readonly mono: number;
  readonly event: E;
}

/** One side's journal, open for appending. A write is in the kernel at once; `sync` waits for the disk too. */
export class Journal<E> {
  readonly #fd: number;
  readonly #schema: z.ZodType<Stamped<E>>;
  readonly #clock: Clock;
  #seq: number;
  /** Length of the file up to the end of its last record. */
  #bytes: number;
  #later: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    file: { readonly fd: number; readonly bytes: number; readonly records: number },
    schema: z.ZodType<Stamped<E>>,
    clock: Clock,
  ) {
    this.#fd = file.fd;
    this.#bytes = file.bytes;
    this.#seq = file.records;
    this.#schema = schema;
    this.#clock = clock;
  }

  /** Appends one event. With `sync` the promise resolves once it lies on the disk. Throws when it cannot be written. */
  async append(event: E, durability: 'sync' | 'later'): Promise<void> {
    this.write(event);
    await this.settle(durability);
  }

  /**
   * Hands one event to the kernel, in order; from then on only a power loss can take it.
   * GODWIT_INTERNAL when it breaks its schema; then nothing is written.
   */
  write(event: E): void {
    // Its descriptor’s number may be another file’s by now.
    if (this.#closed) throw godwitError('GODWIT_INTERNAL', { what: 'the journal is closed' });
    const record: Stamped<E> = {
      v: 1,
      seq: this.#seq,
      at: this.#clock.wallMs(),
      mono: Math.round(this.#clock.monotonicMs() * 1000) / 1000,
      event,
    };
    // A record that cannot be read again would hide every record after it: better none, and the caller knows.
    const checked = this.#schema.safeParse(record);
    if (!checked.success) {
      const what = `an event that the journal cannot hold: ${whatIsWrong(checked.error)}`;
      throw godwitError('GODWIT_INTERNAL', { what });
    }
    const line = Buffer.from(encodeRecord(checked.data as unknown as SourceRecord));
    // A short write would tear the journal in its middle: go on until all of it is there, or none.
    try {
      for (let sent = 0; sent < line.length;) sent += writeSync(this.#fd, line, sent);
    } catch (cause) {
      ftruncateSync(this.#fd, this.#bytes);
      throw cause;
    }
    this.#bytes += line.length;
    this.#seq += 1;
  }

  /** Waits for the disk, or (`later`) sees to it that it is not forgotten. */
  async settle(durability: 'sync' | 'later'): Promise<void> {
    if (durability === 'sync') await datasync(this.#fd);
    else this.#syncLater();
  }

  #syncLater(): void {
    this.#later ??= setTimeout(() => {
      this.#later = undefined;
      if (!this.#closed) fdatasync(this.#fd, () => {});
    }, LATER_MS);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#later);
    this.#later = undefined;
    await datasync(this.#fd);
    closeSync(this.#fd);
  }
}

export interface OpenedJournal<E> {
  readonly journal: Journal<E>;
  /** What was there before: empty for a new migration. */
  readonly events: E[];
  readonly records: Stamped<E>[];
}

export function openSourceJournal(dir: string, clock: Clock): OpenedJournal<SourceRecord['event']> {
  return open(path.join(dir, journalFile('source')), sourceRecord, clock);
}

export function openDestinationJournal(
  dir: string,
  clock: Clock,
): OpenedJournal<DestinationRecord['event']> {
  return open(path.join(dir, journalFile('destination')), destinationRecord, clock);
}

/** Opens a journal, cuts off a torn end, and makes the file's own entry in its directory durable. */
function open<E>(file: string, schema: z.ZodType<Stamped<E>>, clock: Clock): OpenedJournal<E> {
  const fd = openSync(file, 'a+', 0o600);
  const { records, wholeBytes } = decodeRecords(schema, readText(file));
  ftruncateSync(fd, wholeBytes);
  const dirFd = openSync(path.dirname(file), 'r');
  fsyncSync(dirFd);
  closeSync(dirFd);
  return {
    journal: new Journal<E>({ fd, bytes: wholeBytes, records: records.length }, schema, clock),
    events: records.map((record) => record.event),
    records,
  };
}

/** The records of a migration's directory, of whichever sides it has; reads only. */
export function readJournals(dir: string): {
  source: SourceRecord[];
  destination: DestinationRecord[];
} {
  const source = path.join(dir, journalFile('source'));
  const destination = path.join(dir, journalFile('destination'));
  return {
    source: existsSync(source) ? decodeRecords(sourceRecord, readText(source)).records : [],
    destination: existsSync(destination)
      ? decodeRecords(destinationRecord, readText(destination)).records
      : [],
  };
}

function readText(file: string): string {
  const text = readFileSync(file);
  if (text.length > MAX_BYTES) {
    throw godwitError('GODWIT_TOO_LARGE', { what: `the journal ${file}`, limit: MAX_BYTES });
  }
  return text.toString('utf8');
}
