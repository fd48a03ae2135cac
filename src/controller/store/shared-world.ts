import type { Move } from '../../protocol/controller/fleet-request.ts';
import type { Reservation, World } from '../requests/facts.ts';
import { reservationOf } from '../requests/step.ts';
import type { Store } from './store.ts';
import { OtherRequests } from './other-requests.ts';
import { limitsOf, marksOf, reservationsOf } from './request-rows.ts';

export interface SharedFacts extends Pick<World, 'marks' | 'reservations' | 'limits' | 'others'> {
  readonly admission: number;
}

/** Delay until released room is visible, ms. Used room is visible at once: see `at`. */
const FRESH_MS = 300;

/**
 * One reading for all requests of a controller: each looks several times a second, and a fleet's promises are hundreds
 * of rows.
 */
export class SharedWorld {
  readonly #store: Store;
  readonly #monotonicMs: () => number;
  readonly #others = new OtherRequests();
  #last: { readonly shared: SharedFacts; readonly untilMs: number } | undefined;
  #reading: Promise<SharedFacts> | undefined;

  constructor(store: Store, monotonicMs: () => number) {
    this.#store = store;
    this.#monotonicMs = monotonicMs;
  }

  async at(admission: number): Promise<SharedFacts> {
    for (;;) {
      const last = this.#last;
      if (last !== undefined && last.shared.admission >= admission) {
        if (this.#monotonicMs() < last.untilMs) return last.shared;
      }
      // A running read may have begun too early.
      const shared = await (this.#reading ??= this.#read());
      if (shared.admission >= admission) return shared;
    }
  }

  async #read(): Promise<SharedFacts> {
    try {
      const shared = await readShared(this.#store, this.#others);
      this.#last = { shared, untilMs: this.#monotonicMs() + FRESH_MS };
      return shared;
    } finally {
      this.#reading = undefined;
    }
  }
}

export function readShared(store: Store, others = new OtherRequests()): Promise<SharedFacts> {
  return store.transaction(async (db) => {
    // Read before the promises, so that a concurrent one makes this count stale.
    const { value: admission } = await db
      .selectFrom('counters')
      .select('value')
      .where('name', '=', 'admission')
      .executeTakeFirstOrThrow();
    const reservations = await reservationsOf(db, store);
    const [marks, limits] = [await marksOf(db), await limitsOf(db)];
    return {
      admission,
      reservations,
      marks,
      limits,
      others: await others.of(db, reservations, limits),
    };
  });
}

/** Uses the request's own newer moves; one that was settled meanwhile counts as released now. */
export function withOwn(
  all: readonly Reservation[],
  request: string,
  moves: readonly Move[],
  nowMs: number,
): Reservation[] {
  const open = new Set(moves.map(({ id }) => id));
  const others = all.flatMap((each): Reservation[] => {
    if (each.request !== request || each.givenBackAtMs !== undefined) return [each];
    const { source: _source, ...memory } = each;
    return open.has(each.move) ? [] : [{ ...memory, givenBackAtMs: nowMs }];
  });
  return [...others, ...moves.flatMap((each) => reservationOf(each) ?? [])];
}
