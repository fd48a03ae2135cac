import type { Clock } from '../../../src/clock.ts';

/** Time goes on whenever everybody waits for it. */
export class PretendedClock implements Clock {
  #nowMs = 0;
  #turning = false;
  readonly #waiting = new Set<{ readonly atMs: number; readonly wake: () => void }>();

  wallMs(): number {
    return 1_800_000_000_000 + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const entry = { atMs: this.#nowMs + ms, wake: resolve };
      this.#waiting.add(entry);
      signal?.addEventListener(
        'abort',
        () => {
          this.#waiting.delete(entry);
          reject(signal.reason as Error);
        },
        { once: true },
      );
      this.#turn();
    });
  }

  #turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    // After all that follows from what has happened so far.
    setImmediate(() =>
      setImmediate(() => {
        this.#turning = false;
        const next = [...this.#waiting].toSorted((left, right) => left.atMs - right.atMs)[0];
        if (next === undefined) return;
        this.#waiting.delete(next);
        this.#nowMs = Math.max(this.#nowMs, next.atMs);
        next.wake();
        if (this.#waiting.size > 0) this.#turn();
      }),
    );
  }
}
