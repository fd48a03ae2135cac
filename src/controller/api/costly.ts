import type { Clock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';

const MIN_MS = 1000;
/** Making answers takes at most this part of the process: the slower an answer, the longer the pause. */
const MAX_PART = 10;
/** Shorter than callers wait. */
const MAX_PAUSE_MS = 2000;
const MAX_WAITING = 8;
const MAX_OF_A_CALLER = 2;
const MAX_KEPT = 8;

/**
 * Answers that are shared by all callers, because making one for each would block the process. One is made at a time.
 */
export class CostlyAnswers<Value> {
  readonly #what: string;
  readonly #clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
  readonly #kept = new Map<string, { readonly value: Value; readonly dueMs: number }>();
  readonly #making = new Map<string, Promise<Value>>();
  readonly #callers = new Map<string, number>();
  #last: Promise<unknown> = Promise.resolve();
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(what: string, clock: Pick<Clock, 'monotonicMs' | 'sleep'>) {
    this.#what = what;
    this.#clock = clock;
  }

  /**
   * GODWIT_OVERLOADED if too many others wait, or `caller` waits for too many; an error of `make` goes to all waiting
   * callers. `caller` is absent if callers do not choose the key.
   */
  async of(key: string, make: () => Promise<Value>, caller?: string): Promise<Value> {
    const kept = this.#kept.get(key);
    if (kept !== undefined && this.#clock.monotonicMs() < kept.dueMs) return kept.value;
    const making = this.#making.get(key);
    if (making !== undefined) return making;
    if (this.#making.size >= MAX_WAITING)
      throw godwitError('GODWIT_OVERLOADED', { what: this.#what, limit: MAX_WAITING });
    const leave = caller === undefined ? () => {} : this.#enter(caller);
    const made = this.#last
      .then(() => this.#make(key, make))
      .finally(() => {
        this.#making.delete(key);
        leave();
      });
    this.#making.set(key, made);
    this.#last = made.catch(() => {});
    return made;
  }

  #enter(caller: string): () => void {
    const count = this.#callers.get(caller) ?? 0;
    if (count >= MAX_OF_A_CALLER) {
      const what = `${this.#what} for one caller`;
      throw godwitError('GODWIT_OVERLOADED', { what, limit: MAX_OF_A_CALLER });
    }
    this.#callers.set(caller, count + 1);
    return () => {
      const left = (this.#callers.get(caller) ?? 1) - 1;
      if (left === 0) this.#callers.delete(caller);
      else this.#callers.set(caller, left);
    };
  }

  async #make(key: string, make: () => Promise<Value>): Promise<Value> {
    const pauseMs = this.#nextMs - this.#clock.monotonicMs();
    if (pauseMs > 0) await this.#clock.sleep(Math.min(pauseMs, MAX_PAUSE_MS));
    const begunMs = this.#clock.monotonicMs();
    try {
      const value = await make();
      const tookMs = this.#clock.monotonicMs() - begunMs;
      this.#kept.delete(key);
      this.#kept.set(key, { value, dueMs: begunMs + Math.max(MIN_MS, tookMs * MAX_PART) });
      const [oldest] = this.#kept.keys();
      if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
      return value;
    } finally {
      this.#nextMs = begunMs + (this.#clock.monotonicMs() - begunMs) * MAX_PART;
    }
  }
}
