import { defined } from '../../protocol/defined.ts';
import type { Latency } from '../../protocol/public/probe.ts';

/**
 * How long a client waits for its answers. ARP has no number, so an answer is taken for that of the oldest question that is
 * still open: what a client waits that asks again until it hears something. Pure; times are monotonic.
 */

/** Answers that are kept: minutes of them, the oldest go first. */
const MAX_KEPT = 16_384;
const MAX_OPEN = 256;
/** The shortest of the last so many waits is taken for what an answer takes at least, and so much more may be chance, ms. */
const FEW = 32;
const LATE_MS = 50;

export interface Moments {
  /** Memory has begun to move. */
  readonly memoryFromMs?: number | undefined;
  /** The guest runs at its destination. */
  readonly ranMs?: number | undefined;
}

export class Waits {
  /** When the questions were sent that have no answer yet, the oldest first. */
  #open: number[] = [];
  #count = 0;
  readonly #kept: { readonly atMs: number; readonly ms: number }[] = [];

  asked(nowMs: number): void {
    if (this.#open.length < MAX_OPEN) this.#open.push(nowMs);
  }

  answered(nowMs: number): void {
    const [askedMs, ...open] = this.#open;
    // It is late, and its wait is counted already.
    if (askedMs === undefined) return;
    this.#kept[this.#count % MAX_KEPT] = { atMs: nowMs, ms: nowMs - askedMs };
    this.#count += 1;
    // What is far older than its answer would be is lost: after a silence it must not be counted once for each question.
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

  /** Of all answers that are kept; undefined where there are none. */
  all(): Latency['before'] {
    return figures(this.#kept);
  }

  /** Before memory moved, while it did and at the switch, and since the guest runs there; what has no answer is left out. */
  read({ memoryFromMs = -Infinity, ranMs = Infinity }: Moments): Latency {
    const before = figures(this.#kept.filter(({ atMs }) => atMs < memoryFromMs));
    // The answer that ended the switch was waited for during it.
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
