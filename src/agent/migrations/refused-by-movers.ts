import { addRefusals, readRefused } from '../../host/journal/kept-refusals.ts';
import type { Refusal } from '../../protocol/public/trust.ts';
import type { MoverProcesses } from '../processes/mover-process.ts';
import type { MigrationStore } from './store.ts';

/** Refusals of ended migrations in memory, some 4 MiB at most. What is beyond is read for each question. */
const MAX_KEPT = 4096;

/**
 * What the movers of this host's migrations refused. The file of a migration that has ended is read once; only those of
 * open migrations are read for each question.
 */
export class RefusedByMovers {
  readonly #store: Pick<MigrationStore, 'all' | 'isEnded'>;
  readonly #movers: Pick<MoverProcesses, 'find'>;
  /** Of each migration that has ended. */
  #kept = new Map<string, readonly Refusal[]>();

  constructor(
    store: Pick<MigrationStore, 'all' | 'isEnded'>,
    movers: Pick<MoverProcesses, 'find'>,
  ) {
    this.#store = store;
    this.#movers = movers;
  }

  list(): Refusal[] {
    const before = this.#kept;
    const kept = new Map<string, readonly Refusal[]>();
    let room = MAX_KEPT;
    const lists = this.#store.all().map((migration) => {
      const { id, dir } = migration;
      // One that was opened again has not ended.
      const hasEnded = this.#store.isEnded(id);
      const known = hasEnded ? before.get(id) : undefined;
      // A mover writes its last ones when it exits, which is after the end of its migration.
      const isFinal =
        known !== undefined || (hasEnded && this.#movers.find(migration) === undefined);
      const found = known ?? readRefused(dir);
      if (isFinal && found.length <= room) {
        room -= found.length;
        kept.set(id, found);
      }
      return found;
    });
    this.#kept = kept;
    return addRefusals(lists);
  }
}
