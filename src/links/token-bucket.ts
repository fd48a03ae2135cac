/** Burst after a pause: a timer's resolution at high rates, a frame at low ones. */
const MIN_BURST_BYTES = 64 * 1024;
const BURST_MS = 10;
/** Limits of the debt of priority frames; more is forgiven. */
const MAX_DEBT_MS = 1000;
const MAX_DEBT_BYTES = 256 * 1024;

/** Enforces an average rate; without one, everything may be sent. */
export class TokenBucket {
  #bytesPerMs: number | undefined;
  #tokens = 0;
  #atMs = 0;

  setRate(bytesPerS: number | undefined, nowMs: number): void {
    if (bytesPerS !== undefined && !(bytesPerS > 0)) {
      throw new RangeError(`a rate of ${bytesPerS} bytes/s`);
    }
    const had = this.#bytesPerMs;
    this.#fill(nowMs);
    this.#bytesPerMs = bytesPerS === undefined ? undefined : bytesPerS / 1000;
    this.#tokens = had === undefined ? this.#burst() : Math.min(this.#tokens, this.#burst());
    this.#atMs = nowMs;
  }

  get bytesPerS(): number | undefined {
    return this.#bytesPerMs === undefined ? undefined : this.#bytesPerMs * 1000;
  }

  spend(bytes: number, nowMs: number): void {
    if (this.#bytesPerMs === undefined) return;
    this.#fill(nowMs);
    const mostDebt = Math.max(MAX_DEBT_BYTES, MAX_DEBT_MS * this.#bytesPerMs);
    this.#tokens = Math.max(this.#tokens - bytes, -mostDebt);
  }

  /** Time until something may be sent; 0: now. */
  waitMs(nowMs: number): number {
    if (this.#bytesPerMs === undefined) return 0;
    this.#fill(nowMs);
    return this.#tokens > 0 ? 0 : (1 - this.#tokens) / this.#bytesPerMs;
  }

  #fill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#atMs = Math.max(this.#atMs, nowMs);
    this.#tokens = Math.min(this.#tokens + passedMs * (this.#bytesPerMs ?? 0), this.#burst());
  }

  #burst(): number {
    return Math.max(MIN_BURST_BYTES, BURST_MS * (this.#bytesPerMs ?? 0));
  }
}
