export interface BucketLimit {
  /** Tokens that a key has at first, and at most. */
  readonly burst: number;
  /** How soon one token comes back, ms. */
  readonly everyMs: number;
  /** Keys that are remembered. For a new key the key that changed longest ago is forgotten: it has all its tokens again. */
  readonly maxKeys: number;
}

/** A token bucket for each key. */
export class TokenBuckets {
  readonly #limit: BucketLimit;
  readonly #nowMs: () => number;
  readonly #buckets = new Map<string, { readonly left: number; readonly atMs: number }>();

  constructor(limit: BucketLimit, nowMs: () => number) {
    this.#limit = limit;
    this.#nowMs = nowMs;
  }

  /** Takes tokens of this key; false if it has fewer, and then takes none. */
  take(key: string, count = 1): boolean {
    const left = this.#left(key) - count;
    if (left < 0) return false;
    this.#set(key, left);
    return true;
  }

  /** Returns one token that was taken. */
  giveBack(key: string): void {
    this.#set(key, this.#left(key) + 1);
  }

  /** Time until this key has so many tokens, ms; 0: now. */
  waitMs(key: string, count = 1): number {
    return Math.max(0, count - this.#left(key)) * this.#limit.everyMs;
  }

  /** Keys that are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  #left(key: string): number {
    const { burst, everyMs } = this.#limit;
    const known = this.#buckets.get(key);
    if (known === undefined) return burst;
    return Math.min(burst, known.left + (this.#nowMs() - known.atMs) / everyMs);
  }

  #set(key: string, left: number): void {
    const { burst, maxKeys } = this.#limit;
    this.#buckets.delete(key);
    if (left >= burst) return;
    this.#buckets.set(key, { left, atMs: this.#nowMs() });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > maxKeys && oldest !== undefined) this.#buckets.delete(oldest);
  }
}
