/** How much one host may have its controller read: its share of what one process reads, parses and writes. */

export interface ReadBounds {
  /** Read at once, bytes. */
  readonly burstBytes: number;
  /** Read from then on, bytes/s. */
  readonly bytesPerS: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
/** Events and lists: twice the lists of the largest host, then four times what 4,096 busy guests send. */
export const EVENT_READS: ReadBounds = { burstBytes: 32 * MIB, bytesPerS: 256 * KIB };
/** Migrations and their reports: those of a host that was followed by nobody for a year. */
export const HISTORY_READS: ReadBounds = { burstBytes: 128 * MIB, bytesPerS: 256 * KIB };
/** A debt does not grow beyond this part of the burst: every host has its turn again. */
const MAX_DEBT = 1;
/** A host that had to wait is within its budget again once it has this part of the burst. */
const RECOVERED = 1 / 4;

/** A token bucket. Times are ms by a clock that never goes back. */
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

  /** These bytes were read. */
  take(bytes: number, nowMs: number): void {
    this.#refill(nowMs);
    const leastBytes = -MAX_DEBT * this.#bounds.burstBytes;
    this.#leftBytes = Math.max(leastBytes, this.#leftBytes - bytes);
    if (this.#leftBytes < 0) this.#isExceeded = true;
  }

  /** How long nothing more is to be read, ms; 0: now. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs);
    return this.#leftBytes >= 0 ? 0 : Math.ceil((-this.#leftBytes / this.#bounds.bytesPerS) * 1000);
  }

  /** Whether more than the budget was read, and the host has not been quiet for long enough since. */
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
