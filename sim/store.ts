import path from 'node:path';
import type { MigrationStore, Migration } from '../src/agent/migrations/store.ts';
import { godwitError } from '../src/errors.ts';
import {
  destinationAfter,
  initialDestination,
  type DestinationEvent,
  type DestinationState,
} from '../src/migration/direct/destination.ts';
import {
  initialSource,
  type SourceEvent,
  type SourceState,
} from '../src/migration/direct/source-state.ts';
import { transition } from '../src/migration/direct/transition.ts';
import { journalFile, type MoverRequest } from '../src/protocol/mover/request.ts';
import type { Progress } from '../src/protocol/public/migration.ts';
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

  constructor(disk: SimDisk, host: string) {
    this.#disk = disk;
    this.#host = host;
  }

  /** The part of the store that the supervision and the admission use. */
  get asStore(): MigrationStore {
    return this as unknown as MigrationStore;
  }

  all(): Migration[] {
    return [...this.#migrations.values()];
  }

  get(id: string): Migration | undefined {
    return this.#migrations.get(id);
  }

  need(id: string): Migration {
    const found = this.#migrations.get(id);
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
    return this.all().filter(({ id }) => !this.isEnded(id));
  }

  /** Whoever counts the held ones of a host learns of none: a simulation has one migration at a time. */
  progress(): Pick<Progress, 'phase'> {
    return { phase: 'planned' };
  }

  begun(id: string): boolean {
    const { source, destination } = this.read(id);
    return source !== undefined || destination !== undefined;
  }

  /** Crashes tear the ends of journals here, and nothing else. */
  unreadable(): undefined {}

  isEnded(id: string): boolean {
    const { source, destination } = this.read(id);
    if (source !== undefined) return source.doing.kind === 'end';
    return destination?.stage === 'released' || destination?.stage === 'finished';
  }

  read(id: string): Reading {
    const file = this.#disk.files.get(fileOf(this.need(id)));
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
