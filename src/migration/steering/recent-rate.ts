import type { MemorySample } from '../../protocol/public/migration.ts';

/** Shorter periods give no mean, ms. */
const MEAN_MS = 2000;

type Mark = Pick<MemorySample, 'totalMs' | 'transferredBytes' | 'contentBytes'>;

/**
 * Link rate of the last two seconds. A single look may fall into a short stall, and a mean of all rounds hides that
 * the link has become slower. Pure.
 */
export class RecentRate {
  #marks: Mark[] = [];

  saw({ totalMs, transferredBytes, contentBytes }: MemorySample): void {
    const last = this.#marks.at(-1);
    // A restarted stream.
    if (last !== undefined && totalMs < last.totalMs) this.#marks = [];
    if (totalMs !== last?.totalMs) this.#marks.push({ totalMs, transferredBytes, contentBytes });
    while (totalMs - (this.#marks[1]?.totalMs ?? totalMs) >= MEAN_MS) this.#marks.shift();
  }

  /** bytes/s; undefined until observed long enough. */
  get bytesPerS(): number | undefined {
    const { ms, transferred } = this.#passed;
    return ms < MEAN_MS ? undefined : (transferred * 1000) / ms;
  }

  /** Memory bytes per link byte; above 1 for a compressed stream. */
  get packing(): number {
    const { transferred, content } = this.#passed;
    return transferred > 0 ? Math.max(1, content / transferred) : 1;
  }

  get #passed(): { readonly ms: number; readonly transferred: number; readonly content: number } {
    const [first, last] = [this.#marks[0], this.#marks.at(-1)];
    if (first === undefined || last === undefined) return { ms: 0, transferred: 0, content: 0 };
    return {
      ms: last.totalMs - first.totalMs,
      transferred: last.transferredBytes - first.transferredBytes,
      content: (last.contentBytes ?? 0) - (first.contentBytes ?? 0),
    };
  }
}
