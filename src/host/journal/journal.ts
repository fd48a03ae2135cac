import { existsSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { Durability } from '../../migration/durability.ts';
import {
  destinationRecord,
  sourceRecord,
  type DestinationRecord,
  type SourceRecord,
} from '../../migration/direct/journal.ts';
import { managedRecord, type ManagedRecord } from '../../migration/managed/events.ts';
import { whatIsWrong } from '../../protocol/errors.ts';
import { journalFile } from '../../protocol/mover/request.ts';
import { openJournalFile, readJournalBytes, type JournalFile } from '../../system/journal-file.ts';
import {
  encodeLine,
  LineReader,
  mustBeWhole,
  type JournalKind,
  type JournalRecord,
} from './journal-lines.ts';
import { formatBytes } from '../../protocol/quantity.ts';

/** Longest delay until a `soon` record is on disk, ms. */
const SOON_MS = 100;
/**
 * Beyond this, samples of the stream and the copies are skipped, to leave room for decisions. Holds some 20,000
 * samples.
 */
const LOOKS_BYTES = 8 * 1024 * 1024;
/** Beyond this nothing is accepted; far below the limit of reading. Such a migration must be looping. */
const LIMIT_BYTES = 32 * 1024 * 1024;

export const SOURCE_JOURNAL: JournalKind<SourceRecord> = { schema: sourceRecord, first: 'planned' };
export const DESTINATION_JOURNAL: JournalKind<DestinationRecord> = {
  schema: destinationRecord,
  first: 'admitted',
};

export const MANAGED_JOURNAL: JournalKind<ManagedRecord> = {
  schema: managedRecord,
  first: 'planned',
};

const AT_LIMIT =
  'Nothing more is done for it. See what it repeats with `godwit report`, and end it by hand.';

interface StampedEvent<E> {
  readonly v: 1;
  readonly seq: number;
  readonly at: number;
  readonly mono: number;
  readonly event: E;
}

/** One side's journal, open for appending. A write reaches the kernel at once; `sync` waits for the disk. */
export class Journal<E extends { readonly type: string }> {
  readonly #file: JournalFile;
  readonly #schema: z.ZodType<StampedEvent<E>>;
  readonly #clock: Clock;
  #seq: number;
  #bytes: number;
  #sum: number;
  #soon: NodeJS.Timeout | undefined;
  /** The failure of a later sync: records may be missing after a power loss. */
  #unsynced: Error | undefined;
  #closed = false;
  #onRecord: ((record: StampedEvent<E>) => void) | undefined;

  constructor(
    found: {
      readonly file: JournalFile;
      readonly bytes: number;
      readonly records: number;
      readonly sum: number;
    },
    schema: z.ZodType<StampedEvent<E>>,
    clock: Clock,
  ) {
    this.#file = found.file;
    this.#bytes = found.bytes;
    this.#seq = found.records;
    this.#sum = found.sum;
    this.#schema = schema;
    this.#clock = clock;
  }

  onRecord(listener: (record: StampedEvent<E>) => void): void {
    this.#onRecord = listener;
  }

  /**
   * Appends one event. With `sync` the promise resolves once it is on the disk. Throws on a write failure, and
   * GODWIT_TOO_LARGE at the size limit. A long journal skips `spared` records.
   */
  async append(event: E, durability: Durability): Promise<void> {
    if (durability === 'spared' && this.#bytes >= LOOKS_BYTES) return;
    this.write(event);
    await this.settle(durability);
  }

  /**
   * Passes one event to the kernel, in order; only a power loss can lose it then. GODWIT_INTERNAL, without a write, if
   * it breaks its schema.
   */
  write(event: E): void {
    if (this.#closed) throw godwitError('GODWIT_INTERNAL', { what: 'the journal is closed' });
    const record: StampedEvent<E> = {
      v: 1,
      seq: this.#seq,
      at: this.#clock.wallMs(),
      mono: Math.round(this.#clock.monotonicMs() * 1000) / 1000,
      event,
    };
    // An unreadable record would hide every later one.
    const checked = this.#schema.safeParse(record);
    if (!checked.success) {
      const what = `an event that the journal cannot hold: ${whatIsWrong(checked.error)}`;
      throw godwitError('GODWIT_INTERNAL', { what });
    }
    const { line, sum } = encodeLine(checked.data, this.#sum);
    if (this.#bytes + line.length > LIMIT_BYTES) {
      const what = 'the journal of a migration';
      throw godwitError(
        'GODWIT_TOO_LARGE',
        { what, limit: formatBytes(LIMIT_BYTES) },
        { hint: AT_LIMIT },
      );
    }
    // A partial write would tear the journal: continue until all of it is written, or none.
    try {
      for (let sent = 0; sent < line.length;) sent += this.#file.write(line, sent);
    } catch (cause) {
      this.#file.truncate(this.#bytes);
      throw cause;
    }
    this.#bytes += line.length;
    this.#sum = sum;
    this.#seq += 1;
    this.#onRecord?.(checked.data);
  }

  async settle(durability: Durability): Promise<void> {
    // The kernel may report success after it dropped the pages of a failed sync.
    if (this.#unsynced !== undefined) throw this.#unsynced;
    if (durability === 'sync') await this.#file.sync();
    if (durability === 'soon') this.#syncSoon();
  }

  #syncSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      if (this.#closed) return;
      this.#file.sync().catch((error: unknown) => (this.#unsynced = toGodwitError(error)));
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

export interface OpenedJournal<E extends { readonly type: string }> {
  readonly journal: Journal<E>;
  /** Earlier events: empty for a new migration. */
  readonly events: E[];
  readonly records: StampedEvent<E>[];
}

export function openSourceJournal(
  dir: string,
  clock: Clock,
  openFile = openJournalFile,
): OpenedJournal<SourceRecord['event']> {
  const name = path.join(dir, journalFile('source'));
  return open(name, openFile(name), SOURCE_JOURNAL, clock);
}

export function openDestinationJournal(
  dir: string,
  clock: Clock,
  openFile = openJournalFile,
): OpenedJournal<DestinationRecord['event']> {
  const name = path.join(dir, journalFile('destination'));
  return open(name, openFile(name), DESTINATION_JOURNAL, clock);
}

/**
 * Opens a journal after its last whole record. A torn end is cut, because no action followed an incomplete line. Other
 * damage is GODWIT_JOURNAL_DAMAGED without any change: the actions after that line are unknown.
 */
export function open<E extends { readonly type: string }>(
  name: string,
  file: JournalFile,
  kind: JournalKind<StampedEvent<E>>,
  clock: Clock,
): OpenedJournal<E> {
  try {
    const lines = new LineReader(kind);
    const records = lines.take(file.read());
    mustBeWhole(name, lines.damage);
    const { bytes, count, sum } = lines;
    file.truncate(bytes);
    return {
      journal: new Journal<E>({ file, bytes, records: count, sum }, kind.schema, clock),
      events: records.map((record) => record.event),
      records,
    };
  } catch (thrown) {
    file.close();
    throw thrown;
  }
}

/** GODWIT_JOURNAL_DAMAGED for a damaged journal. Read only. */
export function readJournals(dir: string): {
  source: SourceRecord[];
  destination: DestinationRecord[];
  managed: ManagedRecord[];
} {
  return {
    source: readAll(path.join(dir, journalFile('source')), SOURCE_JOURNAL),
    destination: readAll(path.join(dir, journalFile('destination')), DESTINATION_JOURNAL),
    managed: readAll(path.join(dir, journalFile('managed')), MANAGED_JOURNAL),
  };
}

function readAll<T extends JournalRecord>(file: string, kind: JournalKind<T>): T[] {
  if (!existsSync(file)) return [];
  const lines = new LineReader(kind);
  const records = lines.take(readJournalBytes(file));
  mustBeWhole(file, lines.damage);
  return records;
}
