import { defined } from '../../protocol/defined.ts';
import type { Latency } from '../../protocol/public/probe.ts';

/**
 * Response times. ARP has no number, so an answer is matched with the oldest open question: the wait of a client that
 * repeats its question. Pure; times are monotonic.
 */

/** Kept answers, enough for minutes; the oldest are dropped. */
const MAX_KEPT = 16_384;
const MAX_OPEN = 256;
/** The minimum of this many recent waits counts as the base, with this tolerance, ms. */
const FEW = 32;
const LATE_MS = 50;

export interface Moments {
  readonly memoryFromMs?: number | undefined;
  readonly ranMs?: number | undefined;
}

export class Waits {
  /** Send times of open questions, oldest first. */
  #open: number[] = [];
  #count = 0;
  readonly #kept: { readonly atMs: number; readonly ms: number }[] = [];

  asked(nowMs: number): void {
    if (this.#open.length < MAX_OPEN) this.#open.push(nowMs);
  }

  answered(nowMs: number): void {
    const [askedMs, ...open] = this.#open;
    // A late answer, already counted.
    if (askedMs === undefined) return;
    this.#kept[this.#count % MAX_KEPT] = { atMs: nowMs, ms: nowMs - askedMs };
    this.#count += 1;
    // Much older questions are lost; after a silence they must not all count.
    const lostBefore = nowMs - 2 * this.#shortest() - LATE_MS;
    this.#open = open.filter((each) => each >= lostBefore);
  }

  #shortest(): number {
    const from = Math.max(0, this.#count - FEW);
    const last = Array.from({ length: this.#count - from }, (_none, index) => {
      return this.#kept[(from + index) % MAX_KEPT]?.ms ?? Infinity;
    });
    return Math.min(...last);
  }

  /** Over all kept answers; undefined if there are none. */
  all(): Latency['before'] {
    return figures(this.#kept);
  }

  /** Before memory, from memory through the switchover, and since the guest runs there; excludes open questions. */
  read({ memoryFromMs = -Infinity, ranMs = Infinity }: Moments): Latency {
    const before = figures(this.#kept.filter(({ atMs }) => atMs < memoryFromMs));
    // The answer that ended the switchover was awaited during it.
    const isDuring = ({ atMs, ms }: { atMs: number; ms: number }): boolean =>
      atMs >= memoryFromMs && atMs - ms < ranMs;
    const during = figures(this.#kept.filter(isDuring));
    const after = figures(this.#kept.filter(({ atMs, ms }) => atMs - ms >= ranMs));
    return {
      ...defined({ before, during, after }),
    };
  }
}

function figures(waits: readonly { readonly ms: number }[]): Latency['before'] {
  if (waits.length === 0) return undefined;
  const sorted = waits.map(({ ms }) => ms).toSorted((one, other) => one - other);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}
