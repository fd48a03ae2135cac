const MINUTE_MS = 60_000;
/** Refused attempts that are kept each minute: of one caller (a stranger is its network), and of all callers. */
export const MAX_PER_CALLER = 10;
export const MAX_PER_MINUTE = 60;

/** The number of refused attempts that are kept, so that a caller that only knocks does not fill the database. */
export class RefusedBudget {
  #beganMs = -Infinity;
  #kept = 0;
  #unkept = 0;
  /** At most as many callers as attempts that are kept. */
  readonly #ofCaller = new Map<string, number>();

  /** The number of earlier attempts that were not kept; undefined: this one is not kept either. */
  take(caller: string, nowMs: number): number | undefined {
    if (nowMs - this.#beganMs >= MINUTE_MS) {
      this.#beganMs = nowMs;
      this.#kept = 0;
      this.#ofCaller.clear();
    }
    const own = this.#ofCaller.get(caller) ?? 0;
    if (own >= MAX_PER_CALLER || this.#kept >= MAX_PER_MINUTE) {
      this.#unkept += 1;
      return undefined;
    }
    this.#kept += 1;
    this.#ofCaller.set(caller, own + 1);
    const unkept = this.#unkept;
    this.#unkept = 0;
    return unkept;
  }

  /** One that could not be written: the next that is kept counts it. */
  dropped(): void {
    this.#unkept += 1;
  }
}
