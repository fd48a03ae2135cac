import path from 'node:path';
import type { MigrationStore, Migration } from '../src/agent/migrations/store.ts';
import { briefly, planned } from '../src/agent/migrations/planned-report.ts';
import { systemClock } from '../src/clock.ts';
import { godwitError, type GodwitError } from '../src/errors.ts';
import {
  DESTINATION_JOURNAL,
  SOURCE_JOURNAL,
  type readJournals,
} from '../src/host/journal/journal.ts';
import { LineReader } from '../src/host/journal/journal-lines.ts';
import { damaged, requestFile } from '../src/host/journal/request-file.ts';
import { destinationReportOf } from '../src/migration/report/destination.ts';
import { reportOf } from '../src/migration/report/report.ts';
import {
  destinationAfter,
  initialDestination,
  type DestinationEvent,
  type DestinationState,
} from '../src/migration/direct/destination/destination.ts';
import {
  initialSource,
  type SourceEvent,
  type SourceState,
} from '../src/migration/direct/source/source-state.ts';
import { transition } from '../src/migration/direct/source/transition.ts';
import { journalFile, type MoverRequest } from '../src/protocol/mover/request.ts';
import type { Progress, Report } from '../src/protocol/public/migration.ts';
import type { SimDisk } from './disk.ts';

/** What a journal says, read as far as it has grown. */
interface Reading {
  bytes: number;
  cuts: number;
  source: SourceState | undefined;
  destination: DestinationState | undefined;
}

/** The migrations of a simulated host, as its agents find them: requests and journals on its disk. */
export class SimStore {
  readonly #disk: SimDisk;
  readonly #host: string;
  readonly #migrations = new Map<string, Migration>();
  readonly #readings = new Map<string, Reading>();
  /** Its requests cannot be read: an agent that starts finds the journals alone. */
  isDamaged = false;
  /** Since long before the run. */
  readonly since = '2020-01-01T00:00:00.000Z';

  constructor(disk: SimDisk, host: string) {
    this.#disk = disk;
    this.#host = host;
  }

  /** The part of the store that the supervision and the admission use. */
  get asStore(): MigrationStore {
    return this as unknown as MigrationStore;
  }

  all(): Migration[] {
    return [...this.#migrations.values()]
      .map((each) => this.found(each))
      .filter((each) => each !== undefined);
  }

  /** A migration as an agent finds it. */
  found(migration: Migration): Migration | undefined {
    if (!this.isDamaged) return migration;
    if (this.journal(migration.id) === '') return undefined;
    const error = damaged(requestFile(migration.dir), 'a fault put in');
    return { ...migration, damage: { error, isGuestKnown: true } };
  }

  /** Recoveries that were begun here, whatever its agent finds of them. */
  recoveries(): Migration[] {
    return [...this.#migrations.values()].filter(
      ({ request }) => request.side === 'destination' && request.recovery !== undefined,
    );
  }

  get(id: string): Migration | undefined {
    const found = this.#migrations.get(id);
    return found === undefined ? undefined : this.found(found);
  }

  need(id: string): Migration {
    const found = this.get(id);
    if (found !== undefined) return found;
    throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: this.#host });
  }

  /** No id is used twice here. */
  mustBeNew(): void {}

  add(request: MoverRequest): Migration {
    const made = { id: request.id, dir: path.join('/', 'sim', this.#host, request.id), request };
    this.#migrations.set(request.id, made);
    return made;
  }

  drop(id: string): void {
    const found = this.#migrations.get(id);
    if (found !== undefined) this.#disk.files.delete(fileOf(found));
    this.#migrations.delete(id);
  }

  running(): Migration[] {
    return this.all().filter(({ id, damage }) => damage === undefined && !this.isEnded(id));
  }

  progress(id: string): Progress {
    const { damage } = this.need(id);
    const progress = briefly(this.report(id));
    return damage === undefined
      ? progress
      : { ...progress, phase: 'held', error: damage.error.toJSON() };
  }

  runsAt(id: string): Report['runsAt'] {
    return this.need(id).damage === undefined ? this.report(id).runsAt : 'unknown';
  }

  report(id: string): Report {
    const { source, destination } = this.journals(id);
    const nowMs = systemClock.wallMs();
    return (
      reportOf(source, nowMs) ??
      destinationReportOf(destination, nowMs) ??
      planned(this.need(id).request, nowMs)
    );
  }

  journals(id: string): ReturnType<typeof readJournals> {
    const migration = this.need(id);
    const content = this.#disk.files.get(fileOf(migration))?.content ?? Buffer.alloc(0);
    const none = { source: [], destination: [], managed: [] };
    return migration.request.side === 'source'
      ? { ...none, source: new LineReader(SOURCE_JOURNAL).take(content) }
      : { ...none, destination: new LineReader(DESTINATION_JOURNAL).take(content) };
  }

  /** Nothing of an end is kept here. */
  reopen(): void {}

  /** A host of a simulation leaves too few to be asked about. */
  unheard(): Migration[] {
    return [];
  }

  heard(): void {}

  begun(id: string): boolean {
    const { source, destination } = this.read(id);
    return source !== undefined || destination !== undefined;
  }

  /** Crashes tear the ends of journals here, and damage nothing else. */
  unreadable(id: string): GodwitError | undefined {
    return this.get(id)?.damage?.error;
  }

  isEnded(id: string): boolean {
    if (this.unreadable(id) !== undefined) return false;
    return this.hasEnded(id);
  }

  /** By its journal alone. */
  hasEnded(id: string): boolean {
    const { source, destination } = this.read(id);
    if (source !== undefined) return source.doing.kind === 'end';
    return destination?.stage === 'released' || destination?.stage === 'finished';
  }

  read(id: string): Reading {
    const migration = this.#migrations.get(id);
    const file = migration && this.#disk.files.get(fileOf(migration));
    let reading = this.#readings.get(id);
    if (reading === undefined || file === undefined || reading.cuts !== file.cuts) {
      const cuts = file?.cuts ?? 0;
      reading = { bytes: 0, cuts, source: undefined, destination: undefined };
      this.#readings.set(id, reading);
    }
    if (file !== undefined) readOn(reading, file.content);
    return reading;
  }

  journal(id: string): string {
    const found = this.#migrations.get(id);
    return found === undefined ? '' : this.#disk.text(fileOf(found));
  }
}

function fileOf({ dir, request }: Migration): string {
  return path.join(dir, journalFile(request.side));
}

function readOn(reading: Reading, content: Buffer): void {
  for (;;) {
    const end = content.indexOf(10, reading.bytes);
    if (end < 0) return;
    const line = content.toString('utf8', reading.bytes, end);
    reading.bytes = end + 1;
    let event: SourceEvent | DestinationEvent;
    try {
      ({ event } = JSON.parse(line) as { event: SourceEvent | DestinationEvent });
    } catch {
      // Torn: the mover that opens it cuts it off.
      return;
    }
    take(reading, event);
  }
}

function take(reading: Reading, event: SourceEvent | DestinationEvent): void {
  if (event.type === 'planned') reading.source = initialSource(event).state;
  else if (event.type === 'admitted') reading.destination = initialDestination(event);
  else if (reading.source !== undefined) {
    reading.source = transition(reading.source, event as SourceEvent).state;
  } else if (reading.destination !== undefined) {
    reading.destination = destinationAfter(reading.destination, event as DestinationEvent);
  }
}
