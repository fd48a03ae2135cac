/** One host's share of what the controller reads, parses and writes. */

export interface ReadBounds {
  /** At once, bytes. */
  readonly burstBytes: number;
  /** Afterwards, bytes/s. */
  readonly bytesPerS: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
/** Events and lists: twice the largest host's lists, then four times the rate of 4,096 busy guests. */
export const EVENT_READS: ReadBounds = { burstBytes: 32 * MIB, bytesPerS: 256 * KIB };
/** Migrations with reports: enough for a host that was not followed for a year. */
export const HISTORY_READS: ReadBounds = { burstBytes: 128 * MIB, bytesPerS: 256 * KIB };
/** Limit of the debt as part of the burst, so that every host gets its turn again. */
const MAX_DEBT = 1;
/** A delayed host is within its budget again at this part of the burst. */
const RECOVERED = 1 / 4;

export class ReadBudget {
  readonly #bounds: ReadBounds;
  #leftBytes: number;
  #atMs: number;
  #isExceeded = false;

  constructor(bounds: ReadBounds, nowMs: number) {
    this.#bounds = bounds;
    this.#leftBytes = bounds.burstBytes;
    this.#atMs = nowMs;
  }

  take(bytes: number, nowMs: number): void {
    this.#refill(nowMs);
    const leastBytes = -MAX_DEBT * this.#bounds.burstBytes;
    this.#leftBytes = Math.max(leastBytes, this.#leftBytes - bytes);
    if (this.#leftBytes < 0) this.#isExceeded = true;
  }

  /** Required pause, ms; 0: none. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs);
    return this.#leftBytes >= 0 ? 0 : Math.ceil((-this.#leftBytes / this.#bounds.bytesPerS) * 1000);
  }

  /** Tells whether the budget was exceeded and the host has not recovered. */
  isExceeded(nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#leftBytes >= RECOVERED * this.#bounds.burstBytes) this.#isExceeded = false;
    return this.#isExceeded;
  }

  #refill(nowMs: number): void {
    const { burstBytes, bytesPerS } = this.#bounds;
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#atMs = nowMs;
    this.#leftBytes = Math.min(burstBytes, this.#leftBytes + (passedMs / 1000) * bytesPerS);
  }
}
