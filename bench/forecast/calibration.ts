/** How far one look corrects the shares. */
const STEP = 0.05;
/** No share is taken for less or more than this. */
const MIN = 0.5;
const MAX = 0.9999;

/**
 * Which quantile of past misses to take so that `share` of all samples lie below it. Misses of the past are not those to
 * come, so it is moved by what share did, over all guests of a fleet: one correction for all, since one guest has few.
 */
export class Calibration {
  readonly #levels: Map<number, number>;

  constructor(shares: readonly number[]) {
    this.#levels = new Map(shares.map((share) => [share, share]));
  }

  levelOf(share: number): number {
    return this.#levels.get(share) ?? share;
  }

  /** At one look, `below` of the guests lay below what was reported by `share`. */
  observe(share: number, below: number): void {
    const level = this.levelOf(share);
    this.#levels.set(share, Math.min(MAX, Math.max(MIN, level + STEP * (share - below))));
  }
}
