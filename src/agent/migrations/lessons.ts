import { movesTo, type OwnMove } from '../../migration/prediction/own-moves.ts';
import type { Report } from '../../protocol/public/migration.ts';
import type { Migration, MigrationStore } from './store.ts';

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
  readonly move?: OwnMove | undefined;
  readonly diskLatency: NonNullable<Report['diskLatency']>;
}

const MAX = 1024;

/** Final outcomes. A held or lost migration may still be resolved. */
const ENDS: ReadonlySet<Report['outcome']> = new Set(['done', 'rehearsed', 'failed', 'cancelled']);

export class Lessons {
  readonly #store: Pick<MigrationStore, 'report'>;
  readonly #kept = new Map<string, Lesson>();

  constructor(store: Pick<MigrationStore, 'report'>) {
    this.#store = store;
  }

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
