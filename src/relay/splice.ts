import type { Duplex } from 'node:stream';

/** What joined streams may do, ms. */
export interface SpliceLimits {
  /** Without a byte in either direction. */
  readonly idleMs: number;
  /** For how long one side may take nothing of what lies there for it, and for how long one may go on after the other has ended. */
  readonly stalledMs: number;
}

export const SPLICE_LIMITS: SpliceLimits = { idleMs: 600_000, stalledMs: 120_000 };

/** Two streams, each of which gets what the other sends; the relay keeps no more of it than lies in their sockets' buffers. */
export class Splice {
  readonly #ends: readonly [Duplex, Duplex];
  readonly #limits: SpliceLimits;
  /** When the last byte came, ms. */
  #heardMs: number;
  /** Of each end: since when it takes nothing of what lies there for it, ms. */
  readonly #stuckMs = new Map<Duplex, number>();
  /** Since when one of them has ended, ms. */
  #endedMs: number | undefined;
  #bytes = 0;

  constructor(one: Duplex, other: Duplex, nowMs: number, limits = SPLICE_LIMITS) {
    this.#ends = [one, other];
    this.#limits = limits;
    this.#heardMs = nowMs;
    this.#lead(one, other);
    this.#lead(other, one);
  }

  /** Bytes that passed, both directions together. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Called now and then: ends what is stalled for too long. */
  time(nowMs: number, passed: boolean): void {
    if (passed) this.#heardMs = nowMs;
    for (const each of this.#ends) {
      if (each.readableEnded) this.#endedMs ??= nowMs;
      // A slow one is not stuck: it begins anew with each time that it has taken all.
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
      // A write costs as much for one record as for all that a turn of the event loop brings: they leave together.
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
    // An end without its mark is a cut: the other side must not take it for the stream's own end.
    from.on('close', () => {
      if (!from.readableEnded) to.destroy();
    });
    from.resume();
  }
}
