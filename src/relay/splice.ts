import type { Duplex } from 'node:stream';

export interface SpliceLimits {
  /** Without a byte in either direction. */
  readonly idleMs: number;
  /** How long one side may accept nothing, and how long one side may continue after the other has ended. */
  readonly stalledMs: number;
}

export const SPLICE_LIMITS: SpliceLimits = { idleMs: 600_000, stalledMs: 120_000 };

/** Joins two streams. Buffered data is limited to the sockets' buffers. */
export class Splice {
  readonly #ends: readonly [Duplex, Duplex];
  readonly #limits: SpliceLimits;
  #heardMs: number;
  /** By end: since when it accepts nothing, ms. */
  readonly #stuckMs = new Map<Duplex, number>();
  /** Since when one side has ended, ms. */
  #endedMs: number | undefined;
  #bytes = 0;

  constructor(one: Duplex, other: Duplex, nowMs: number, limits = SPLICE_LIMITS) {
    this.#ends = [one, other];
    this.#limits = limits;
    this.#heardMs = nowMs;
    this.#lead(one, other);
    this.#lead(other, one);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Called regularly: ends stalled streams. */
  time(nowMs: number, passed: boolean): void {
    if (passed) this.#heardMs = nowMs;
    for (const each of this.#ends) {
      if (each.readableEnded) this.#endedMs ??= nowMs;
      // A slow end is not stuck: its time restarts when it has drained.
      if (!each.writableNeedDrain) this.#stuckMs.delete(each);
      else if (!this.#stuckMs.has(each)) this.#stuckMs.set(each, nowMs);
    }
    const { idleMs, stalledMs } = this.#limits;
    const idle = nowMs - this.#heardMs >= idleMs;
    const since = [...this.#stuckMs.values(), this.#endedMs ?? nowMs];
    const stuck = nowMs - Math.min(...since) >= stalledMs;
    if (idle || stuck) this.destroy();
  }

  destroy(): void {
    for (const each of this.#ends) each.destroy();
  }

  #lead(from: Duplex, to: Duplex): void {
    from.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length;
      // Batches the writes of one turn of the event loop, because each write has a fixed cost.
      if (to.writableCorked === 0) {
        to.cork();
        setImmediate(() => to.uncork());
      }
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => {
      this.#stuckMs.delete(to);
      from.resume();
    });
    from.on('end', () => to.end());
    // A close without an end is a cut, and must reach the other side as a cut.
    from.on('close', () => {
      if (!from.readableEnded) to.destroy();
    });
    from.resume();
  }
}
