import { existsSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import type { Clock } from '../clock.ts';
import { godwitError } from '../errors.ts';
import type { Durability } from '../migration/direct/durability.ts';
import {
  decodeRecords,
  destinationRecord,
  encodeRecord,
  sourceRecord,
} from '../migration/direct/journal.ts';
import type { DestinationRecord, SourceRecord } from '../migration/direct/journal.ts';
import { whatIsWrong } from '../protocol/errors.ts';
import { journalFile } from '../protocol/mover/request.ts';
import { openJournalFile, readJournalText } from './journal-file.ts';
import type { JournalFile } from './journal-file.ts';

/** A `soon` record reaches the disk after so long at most, ms. */
const SOON_MS = 100;

interface Stamped<E> {
  readonly v: 1;
  readonly seq: number;
  readonly at: number;
  readonly mono: number;
  readonly event: E;
}

/** One side's journal, open for appending. A write is in the kernel at once; `sync` waits for the disk too. */
export class Journal<E> {
  readonly #file: JournalFile;
  readonly #schema: z.ZodType<Stamped<E>>;
  readonly #clock: Clock;
  #seq: number;
  /** Length of the file up to the end of its last record. */
  #bytes: number;
  #soon: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    found: { readonly file: JournalFile; readonly bytes: number; readonly records: number },
    schema: z.ZodType<Stamped<E>>,
    clock: Clock,
  ) {
    this.#file = found.file;
    this.#bytes = found.bytes;
    this.#seq = found.records;
    this.#schema = schema;
    this.#clock = clock;
  }

  /** Appends one event. With `sync` the promise resolves once it lies on the disk. Throws when it cannot be written. */
  async append(event: E, durability: Durability): Promise<void> {
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
      for (let sent = 0; sent < line.length;) sent += this.#file.write(line, sent);
    } catch (cause) {
      this.#file.truncate(this.#bytes);
      throw cause;
    }
    this.#bytes += line.length;
    this.#seq += 1;
  }

  /** Waits for the disk, or (`soon`) sees to it that it is not forgotten. */
  async settle(durability: Durability): Promise<void> {
    if (durability === 'sync') await this.#file.sync();
    if (durability === 'soon') this.#syncSoon();
  }

  #syncSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      if (!this.#closed) this.#file.sync().catch(() => {});
    }, SOON_MS);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#soon);
    this.#soon = undefined;
    await this.#file.sync();
    this.#file.close();
  }
}

export interface OpenedJournal<E> {
  readonly journal: Journal<E>;
  /** What was there before: empty for a new migration. */
  readonly events: E[];
  readonly records: Stamped<E>[];
}

export function openSourceJournal(
  dir: string,
  clock: Clock,
  openFile = openJournalFile,
): OpenedJournal<SourceRecord['event']> {
  return open(openFile(path.join(dir, journalFile('source'))), sourceRecord, clock);
}

export function openDestinationJournal(
  dir: string,
  clock: Clock,
  openFile = openJournalFile,
): OpenedJournal<DestinationRecord['event']> {
  return open(openFile(path.join(dir, journalFile('destination'))), destinationRecord, clock);
}

/** Goes on with a journal where its last whole record ends; a torn end is cut off. */
export function open<E>(
  file: JournalFile,
  schema: z.ZodType<Stamped<E>>,
  clock: Clock,
): OpenedJournal<E> {
  const { records, wholeBytes } = decodeRecords(schema, file.read());
  file.truncate(wholeBytes);
  return {
    journal: new Journal<E>({ file, bytes: wholeBytes, records: records.length }, schema, clock),
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
    source: existsSync(source) ? decodeRecords(sourceRecord, readJournalText(source)).records : [],
    destination: existsSync(destination)
      ? decodeRecords(destinationRecord, readJournalText(destination)).records
      : [],
  };
}
