import { movesTo, type OwnMove } from '../../migration/prediction/own-moves.ts';
import type { Report } from '../../protocol/public/migration.ts';
import type { Migration, MigrationStore } from './store.ts';

/** What one migration of this host says of the next ones. */
export interface Lesson extends Pick<
  Report,
  | 'outcome'
  | 'settings'
  | 'stream'
  | 'bytes'
  | 'memoryBytes'
  | 'throughput'
  | 'timedCap'
  | 'wire'
  | 'finished'
  | 'rehearsal'
  | 'takeovers'
  | 'phases'
  | 'startedAt'
> {
  /** For how long its guest was paused, and what its path cost; absent where its guest did not move. */
  readonly move?: OwnMove | undefined;
  readonly diskLatency: NonNullable<Report['diskLatency']>;
}

/** Ended ones whose lessons are kept; beyond these the one that was read longest ago is forgotten. */
const MAX = 1024;

/** After these nothing follows. What is held, or lost, may be resolved yet. */
const ENDS: ReadonlySet<Report['outcome']> = new Set(['done', 'rehearsed', 'failed', 'cancelled']);

/** Reads what migrations say of the next ones. The journal of one that has ended is read once: it does not change. */
export class Lessons {
  readonly #store: Pick<MigrationStore, 'report'>;
  readonly #kept = new Map<string, Lesson>();

  constructor(store: Pick<MigrationStore, 'report'>) {
    this.#store = store;
  }

  /** One after the other, as far as they are wanted. */
  *of(migrations: readonly Migration[]): Generator<Lesson> {
    for (const { id } of migrations) {
      const lesson = this.#of(id);
      if (lesson !== undefined) yield lesson;
    }
  }

  #of(id: string): Lesson | undefined {
    const known = this.#kept.get(id);
    if (known !== undefined) return known;
    let report: Report;
    try {
      report = this.#store.report(id);
    } catch {
      // A journal that was damaged, also since its migration ended, teaches nothing, and holds up no other migration.
      return undefined;
    }
    const lesson = lessonOf(report);
    if (ENDS.has(report.outcome)) this.#keep(id, lesson);
    return lesson;
  }

  #keep(id: string, lesson: Lesson): void {
    this.#kept.set(id, lesson);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX && oldest !== undefined) this.#kept.delete(oldest);
  }
}

function lessonOf(report: Report): Lesson {
  const { outcome, settings, stream, bytes, memoryBytes, throughput, wire, finished } = report;
  const { rehearsal, takeovers, phases, startedAt, timedCap, diskLatency = [] } = report;
  const figures = { outcome, settings, stream, bytes, memoryBytes, throughput, wire, finished };
  const [move] = movesTo(report.to, [report]);
  return { ...figures, timedCap, rehearsal, takeovers, phases, startedAt, diskLatency, move };
}
