const MINUTE_MS = 60_000;
/** Refused attempts of one minute that are kept: of one network, and of all. */
export const MOST_OF_A_NETWORK = 10;
export const MOST_OF_A_MINUTE = 60;

/** How many refused attempts are kept: whoever only knocks fills no database. */
export class RefusedBudget {
  #beganMs = -Infinity;
  #kept = 0;
  #unkept = 0;
  /** As many networks as attempts that are kept, at most. */
  readonly #ofNetwork = new Map<string, number>();

  /** How many before it were not kept, where this one is; undefined: nor is this one. */
  take(network: string, nowMs: number): number | undefined {
    if (nowMs - this.#beganMs >= MINUTE_MS) {
      this.#beganMs = nowMs;
      this.#kept = 0;
      this.#ofNetwork.clear();
    }
    const own = this.#ofNetwork.get(network) ?? 0;
    if (own >= MOST_OF_A_NETWORK || this.#kept >= MOST_OF_A_MINUTE) {
      this.#unkept += 1;
      return undefined;
    }
    this.#kept += 1;
    this.#ofNetwork.set(network, own + 1);
    const unkept = this.#unkept;
    this.#unkept = 0;
    return unkept;
  }
}
