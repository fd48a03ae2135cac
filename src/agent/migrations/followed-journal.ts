import path from 'node:path';
import {
  DESTINATION_JOURNAL,
  MANAGED_JOURNAL,
  SOURCE_JOURNAL,
} from '../../host/journal/journal.ts';
import { JournalReader } from '../../host/journal/journal-reader.ts';
import type { JournalRecord } from '../../host/journal/journal-lines.ts';
import {
  destinationAfter,
  initialDestination,
  type DestinationState,
} from '../../migration/direct/destination/destination.ts';
import type { DestinationRecord, SourceRecord } from '../../migration/direct/journal.ts';
import { initialSource, type SourceState } from '../../migration/direct/source/source-state.ts';
import { transition } from '../../migration/direct/source/transition.ts';
import type { ManagedRecord } from '../../migration/managed/events.ts';
import { managedAfter } from '../../migration/managed/journal.ts';
import { managedRunsAt, type ManagedState } from '../../migration/managed/state.ts';
import { managedProgress, managedReport } from '../../migration/managed/report.ts';
import { progressOf } from '../../migration/report/progress.ts';
import { destinationReportOf, destinationRunsAt } from '../../migration/report/destination.ts';
import { reportOf, sourceRunsAt } from '../../migration/report/report.ts';
import { journalFile, type JournalOf } from '../../protocol/mover/request.ts';
import type { Progress, Report } from '../../protocol/public/migration.ts';
import { briefly } from './planned-report.ts';

/** The journal of an open migration and the state that follows from it. A read costs only the newly written records. */
export interface JournalFollower {
  look(): FollowedState;
}

export interface FollowedState {
  readonly begun: boolean;
  readonly isEnded: boolean;
  /** The host where the guest runs by this side's records; before the first record, at its source. */
  readonly runsAt: Report['runsAt'];
  /** Undefined before the first record. `nowMs`: wall clock. */
  readonly progress: (nowMs: number) => Progress | undefined;
}

const FOLLOW: Readonly<Record<JournalOf, (file: string) => JournalFollower>> = {
  source: (file) =>
    follow<SourceRecord, SourceState>(new JournalReader(file, SOURCE_JOURNAL), {
      after: (state, { event }) => {
        if (state !== undefined) return transition(state, event).state;
        return event.type === 'planned' ? initialSource(event).state : undefined;
      },
      isEnded: ({ doing }) => doing.kind === 'end',
      runsAt: sourceRunsAt,
      progress: (state, records, nowMs) =>
        progressOf(state, undefined, reportOf(records, nowMs)?.totalMs ?? 0),
    }),

  destination: (file) =>
    follow<DestinationRecord, DestinationState>(new JournalReader(file, DESTINATION_JOURNAL), {
      after: (state, { event }) => {
        if (state !== undefined) return destinationAfter(state, event);
        return event.type === 'admitted' ? initialDestination(event) : undefined;
      },
      isEnded: ({ stage }) => stage === 'released' || stage === 'finished',
      runsAt: destinationRunsAt,
      progress: (_state, records, nowMs) => {
        const report = destinationReportOf(records, nowMs);
        return report === undefined ? undefined : briefly(report);
      },
    }),

  managed: (file) =>
    follow<ManagedRecord, ManagedState>(new JournalReader(file, MANAGED_JOURNAL), {
      after: (state, { event }) => managedAfter(state, event),
      isEnded: ({ doing }) => doing.kind === 'end',
      runsAt: managedRunsAt,
      progress: (state, records, nowMs) =>
        managedProgress(state, managedReport(records, nowMs)?.totalMs ?? 0),
    }),
};

export function followJournal(dir: string, of: JournalOf): JournalFollower {
  return FOLLOW[of](path.join(dir, journalFile(of)));
}

interface Follow<T extends JournalRecord, S> {
  readonly after: (state: S | undefined, record: T) => S | undefined;
  readonly isEnded: (state: S) => boolean;
  readonly runsAt: (state: S) => Report['runsAt'];
  readonly progress: (state: S, records: readonly T[], nowMs: number) => Progress | undefined;
}

function follow<T extends JournalRecord, S>(
  reader: JournalReader<T>,
  of: Follow<T, S>,
): JournalFollower {
  const fold = new Fold<T, S>(of.after);
  return {
    look: () => {
      const records = reader.read();
      const state = fold.over(records);
      return {
        begun: records.length > 0,
        isEnded: state !== undefined && of.isEnded(state),
        runsAt: state === undefined ? 'source' : of.runsAt(state),
        progress: (nowMs) => (state === undefined ? undefined : of.progress(state, records, nowMs)),
      };
    },
  };
}

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
