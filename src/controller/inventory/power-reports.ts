import { withPower, type PowerNow, type Standing } from '../power/shown.ts';
import type { Store } from '../store/open.ts';
import { powerNow } from '../store/power-rows.ts';

/** How hosts that sleep or are woken are reported in events, and when that changes although nobody hears of them. */
export class PowerReports {
  readonly #store: Store;
  readonly #settings: { readonly wakeMs: number } | undefined;
  #now: PowerNow = { power: new Map(), nowMs: 0, wakeMs: 0 };
  /** By host that has a power of its own: as reported last. */
  #marks: ReadonlyMap<string, string> = new Map();

  constructor(store: Store, settings: { readonly wakeMs: number } | undefined) {
    this.#store = store;
    this.#settings = settings;
  }

  of<T extends Standing>(name: string, host: T): T {
    return withPower(name, host, this.#now);
  }

  /** Looks at the database; the hosts of `rowOf` that are reported in another way than before. */
  async turn(rowOf: (name: string) => Standing | undefined): Promise<string[]> {
    this.#now = await powerNow(this.#store, this.#settings);
    const before = this.#marks;
    const names = [...this.#now.power.keys()];
    const marks = names.flatMap((name): [string, string][] => {
      const row = rowOf(name);
      if (row === undefined) return [];
      const { state, since, reason } = this.of(name, row);
      return [[name, JSON.stringify([state, since, reason])]];
    });
    this.#marks = new Map(marks);
    const woken = [...before.keys()].filter((name) => !this.#marks.has(name));
    const changed = marks.filter(([name, mark]) => before.get(name) !== mark);
    return [...changed.map(([name]) => name), ...woken];
  }
}
