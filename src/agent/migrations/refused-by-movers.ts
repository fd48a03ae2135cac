import { addRefusals, readRefused } from '../../host/journal/kept-refusals.ts';
import type { Refusal } from '../../protocol/public/trust.ts';
import type { MoverProcesses } from '../processes/mover-process.ts';
import type { MigrationStore } from './store.ts';

/** At most some 4 MiB. */
const MAX_KEPT = 4096;

/** The file of an ended migration is read once. */
export class RefusedByMovers {
  readonly #store: Pick<MigrationStore, 'all' | 'isEnded'>;
  readonly #movers: Pick<MoverProcesses, 'find'>;
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
      const hasEnded = this.#store.isEnded(id);
      const known = hasEnded ? before.get(id) : undefined;
      // A mover writes its last refusals when it exits, after the migration has ended.
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
