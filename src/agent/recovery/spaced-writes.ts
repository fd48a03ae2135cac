import type { Clock } from '../../clock.ts';

export interface SpacedWritesDependencies {
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
  readonly everyMs: number;
  readonly write: (key: string) => Promise<void>;
}

interface KeyWrites {
  next?: Promise<void> | undefined;
  running?: Promise<void> | undefined;
  begunMs: number;
}

/** Writes by key: for each key one at a time, and at most one per `everyMs`. */
export class SpacedWrites {
  readonly #deps: SpacedWritesDependencies;
  readonly #end = new AbortController();
  readonly #of = new Map<string, KeyWrites>();

  constructor(deps: SpacedWritesDependencies) {
    this.#deps = deps;
  }

  /** Resolves when a write that began after this call has ended; rejects as that write does. */
  ask(key: string): Promise<void> {
    this.#forgetIdle();
    const writes: KeyWrites = this.#of.get(key) ?? { begunMs: -Infinity };
    this.#of.set(key, writes);
    if (writes.next === undefined) {
      writes.next = this.#write(key, writes);
      writes.next.catch(() => {});
    }
    return writes.next;
  }

  /** Resolves when all requested writes are done. Rejects if that write fails. */
  async settled(key: string): Promise<void> {
    const writes = this.#of.get(key);
    await (writes?.next ?? writes?.running);
  }

  async close(): Promise<void> {
    this.#end.abort();
    await Promise.allSettled([...this.#of.keys()].map((key) => this.settled(key)));
  }

  async #write(key: string, writes: KeyWrites): Promise<void> {
    const { clock, everyMs, write } = this.#deps;
    await writes.running?.catch(() => {});
    const waitMs = writes.begunMs + everyMs - clock.monotonicMs();
    if (waitMs > 0) await clock.sleep(waitMs, this.#end.signal).catch(() => {});
    writes.next = undefined;
    writes.begunMs = clock.monotonicMs();
    writes.running = write(key).finally(() => {
      writes.running = undefined;
    });
    await writes.running;
  }

  #forgetIdle(): void {
    const { clock, everyMs } = this.#deps;
    const nowMs = clock.monotonicMs();
    for (const [key, { next, running, begunMs }] of this.#of)
      if ((next ?? running) === undefined && nowMs - begunMs >= everyMs) this.#of.delete(key);
  }
}
