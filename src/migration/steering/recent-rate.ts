import type { MemorySample } from '../../protocol/public/migration.ts';

/** A mean of the link over less is no mean, ms. */
const MEAN_MS = 2000;

type Mark = Pick<MemorySample, 'totalMs' | 'transferredBytes'>;

/**
 * What the link carried in the last two seconds or so, by the looks at the stream: a single one may fall into a short
 * standstill, and a mean of all rounds does not see that the link has become slower. Pure.
 */
export class RecentRate {
  #marks: Mark[] = [];

  saw({ totalMs, transferredBytes }: MemorySample): void {
    const last = this.#marks.at(-1);
    // A stream that was begun anew.
    if (last !== undefined && totalMs < last.totalMs) this.#marks = [];
    if (totalMs !== last?.totalMs) this.#marks.push({ totalMs, transferredBytes });
    while (totalMs - (this.#marks[1]?.totalMs ?? totalMs) >= MEAN_MS) this.#marks.shift();
  }

  /** bytes/s; undefined until it has been seen for long enough. */
  get bytesPerS(): number | undefined {
    const [first, last] = [this.#marks[0], this.#marks.at(-1)];
    if (first === undefined || last === undefined) return undefined;
    const ms = last.totalMs - first.totalMs;
    return ms < MEAN_MS
      ? undefined
      : ((last.transferredBytes - first.transferredBytes) * 1000) / ms;
  }
}
