import type { MemorySample } from '../../protocol/public/migration.ts';

/** A mean of the link over less is no mean, ms. */
const MEAN_MS = 2000;

type Mark = Pick<MemorySample, 'totalMs' | 'transferredBytes' | 'contentBytes'>;

/**
 * What the link carried in the last two seconds or so, by the looks at the stream: a single one may fall into a short
 * standstill, and a mean of all rounds does not see that the link has become slower. Pure.
 */
export class RecentRate {
  #marks: Mark[] = [];

  saw({ totalMs, transferredBytes, contentBytes }: MemorySample): void {
    const last = this.#marks.at(-1);
    // A stream that was begun anew.
    if (last !== undefined && totalMs < last.totalMs) this.#marks = [];
    if (totalMs !== last?.totalMs) this.#marks.push({ totalMs, transferredBytes, contentBytes });
    while (totalMs - (this.#marks[1]?.totalMs ?? totalMs) >= MEAN_MS) this.#marks.shift();
  }

  /** bytes/s; undefined until it has been seen for long enough. */
  get bytesPerS(): number | undefined {
    const { ms, transferred } = this.#passed;
    return ms < MEAN_MS ? undefined : (transferred * 1000) / ms;
  }

  /** Bytes of memory that a byte over the link stood for: 1, or more where the stream is compressed. */
  get packing(): number {
    const { transferred, content } = this.#passed;
    return transferred > 0 ? Math.max(1, content / transferred) : 1;
  }

  /** From the oldest mark to the newest. */
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
