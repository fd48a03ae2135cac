/** Refusals of one kind to one peer that are logged in a minute; the others are counted. */
const LOGGED_A_MINUTE = 10;
const MINUTE_MS = 60_000;
/** Peers and kinds that are remembered; the one that came first is forgotten for a new one. */
const MOST = 1024;

interface Minute {
  readonly sinceMs: number;
  count: number;
}

/** Keeps those who are refused over and over from filling this host's log. */
export class Refusals {
  readonly #nowMs: () => number;
  readonly #minutes = new Map<string, Minute>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /**
   * Counts one. Undefined where it is not to be logged; else what to log with it: with the last one of a minute that
   * more of them are not logged, and with the first one of the next how many those were.
   */
  note(
    whose: string,
    kind: string,
  ): { readonly unlogged?: number; readonly last?: true } | undefined {
    const key = `${kind} ${whose}`;
    const nowMs = this.#nowMs();
    const minute = this.#minutes.get(key);
    if (minute === undefined || nowMs - minute.sinceMs >= MINUTE_MS) {
      this.#minutes.delete(key);
      this.#minutes.set(key, { sinceMs: nowMs, count: 1 });
      const [oldest] = this.#minutes.keys();
      if (this.#minutes.size > MOST && oldest !== undefined) this.#minutes.delete(oldest);
      const unlogged = (minute?.count ?? 0) - LOGGED_A_MINUTE;
      return unlogged > 0 ? { unlogged } : {};
    }
    minute.count += 1;
    if (minute.count > LOGGED_A_MINUTE) return undefined;
    return minute.count === LOGGED_A_MINUTE ? { last: true } : {};
  }

  /** Of how many peers and kinds something is remembered. */
  get size(): number {
    return this.#minutes.size;
  }
}
