import path from 'node:path';
import { DESTINATION_JOURNAL, SOURCE_JOURNAL } from '../host/journal.ts';
import { JournalReader } from '../host/journal-reader.ts';
import { destinationAfter, initialDestination } from '../migration/direct/destination.ts';
import type { DestinationState } from '../migration/direct/destination.ts';
import type { DestinationRecord, SourceRecord } from '../migration/direct/journal.ts';
import { initialSource } from '../migration/direct/source-state.ts';
import type { SourceState } from '../migration/direct/source-state.ts';
import { transition } from '../migration/direct/transition.ts';
import { journalFile } from '../protocol/mover/request.ts';
import type { MoverRequest } from '../protocol/mover/request.ts';

/**
 * The journal of a migration that goes on, and the state that follows from it. A look costs what was written since the
 * last one: a migration is looked at each second, and its journal may have grown for a day.
 */
export interface Followed {
  /** Throws what JournalReader.read throws. */
  look(): FollowedState;
}

export interface FollowedState {
  readonly source: readonly SourceRecord[];
  readonly destination: readonly DestinationRecord[];
  /** Undefined at the destination, and before the first record. */
  readonly state: SourceState | undefined;
  readonly isEnded: boolean;
}

export function followJournal(dir: string, side: MoverRequest['side']): Followed {
  return side === 'source' ? followSource(dir) : followDestination(dir);
}

function followSource(dir: string): Followed {
  const reader = new JournalReader(path.join(dir, journalFile('source')), SOURCE_JOURNAL);
  const fold = new Fold<SourceRecord, SourceState>((state, { event }) => {
    if (state !== undefined) return transition(state, event).state;
    return event.type === 'planned' ? initialSource(event).state : undefined;
  });
  return {
    look: () => {
      const source = reader.read();
      const state = fold.over(source);
      return { source, destination: [], state, isEnded: state?.doing.kind === 'end' };
    },
  };
}

function followDestination(dir: string): Followed {
  const reader = new JournalReader(path.join(dir, journalFile('destination')), DESTINATION_JOURNAL);
  const fold = new Fold<DestinationRecord, DestinationState>((state, { event }) => {
    if (state !== undefined) return destinationAfter(state, event);
    return event.type === 'admitted' ? initialDestination(event) : undefined;
  });
  return {
    look: () => {
      const destination = reader.read();
      const stage = fold.over(destination)?.stage;
      const isEnded = stage === 'released' || stage === 'finished';
      return { source: [], destination, state: undefined, isEnded };
    },
  };
}

/** A state after records that only grow, each taken once; from the beginning again where they are others. */
class Fold<T, S> {
  readonly #after: (state: S | undefined, record: T) => S | undefined;
  #records: readonly T[] = [];
  #count = 0;
  #state: S | undefined;

  constructor(after: (state: S | undefined, record: T) => S | undefined) {
    this.#after = after;
  }

  over(records: readonly T[]): S | undefined {
    if (records !== this.#records) {
      this.#records = records;
      this.#count = 0;
      this.#state = undefined;
    }
    for (; this.#count < records.length; this.#count += 1) {
      const record = records[this.#count];
      if (record !== undefined) this.#state = this.#after(this.#state, record);
    }
    return this.#state;
  }
}
