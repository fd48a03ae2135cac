/** One pre-copy migration in the fleet's simulator, round by round, as a hypervisor makes it. */

export interface Truth {
  /** Pages that are not zero. */
  readonly usedBytes: number;
  readonly dirtyBytesPerSecond: number;
  readonly workingSetBytes: number;
  /** Before memory flows and after it, s. */
  readonly leadSeconds: number;
  readonly tailSeconds: number;
}

/** The guest may be paused for so long, s. */
const DOWNTIME_S = 0.3;
/** Throttling as QEMU's auto-converge: twice in a row more than half of what was sent is dirty again. */
const MUCH = 0.5;
const TWICE = 2;
const FIRST_THROTTLE = 0.2;
const MORE_THROTTLE = 0.1;
const MAX_THROTTLE = 0.99;

export class Precopy {
  readonly #truth: Truth;
  #lead: number;
  #tail: number;
  #left: number;
  #sent = 0;
  #roundSeconds = 0;
  #throttle = 0;
  #muchInRow = 0;
  #last = false;
  sentBytes = 0;
  rounds = 1;

  constructor(truth: Truth) {
    this.#truth = truth;
    this.#lead = truth.leadSeconds;
    this.#tail = truth.tailSeconds;
    this.#left = truth.usedBytes;
  }

  get flows(): boolean {
    return this.#lead <= 0 && this.#left > 0;
  }

  get ended(): boolean {
    return this.#lead <= 0 && this.#left <= 0 && this.#tail <= 0;
  }

  /** What its hypervisor reports of the round; absent before memory flows. */
  get seen(): { leftBytes: number; roundSeconds: number } | undefined {
    if (this.#lead > 0) return undefined;
    return { leftBytes: Math.max(0, this.#left), roundSeconds: this.#roundSeconds };
  }

  /** Until its state changes at this rate, s. */
  until(rate: number): number {
    if (this.#lead > 0) return this.#lead;
    if (this.#left > 0) return rate > 0 ? this.#left / rate : Infinity;
    return this.#tail;
  }

  advance(seconds: number, rate: number): void {
    if (this.#lead > 0) {
      this.#lead -= seconds;
      if (this.#lead < 1e-6) this.#lead = 0;
      return;
    }
    if (this.#left <= 0) {
      this.#tail -= seconds;
      if (this.#tail < 1e-6) this.#tail = 0;
      return;
    }
    const bytes = Math.min(this.#left, rate * seconds);
    this.#left -= bytes;
    this.#sent += bytes;
    this.sentBytes += bytes;
    this.#roundSeconds += seconds;
    if (this.#left <= 1) this.#endRound(rate);
  }

  #endRound(rate: number): void {
    this.#left = 0;
    if (this.#last) return;
    const { dirtyBytesPerSecond, workingSetBytes } = this.#truth;
    const writes = dirtyBytesPerSecond * (1 - this.#throttle) * this.#roundSeconds;
    // Pages that are written again and again are dirty once.
    const dirty =
      workingSetBytes > 0 ? workingSetBytes * (1 - Math.exp(-writes / workingSetBytes)) : 0;
    this.#muchInRow = dirty > this.#sent * MUCH ? this.#muchInRow + 1 : 0;
    if (this.#muchInRow >= TWICE) {
      this.#throttle =
        this.#throttle === 0
          ? FIRST_THROTTLE
          : Math.min(MAX_THROTTLE, this.#throttle + MORE_THROTTLE);
      this.#muchInRow = 0;
    }
    this.#last = dirty <= rate * DOWNTIME_S;
    this.#left = dirty;
    this.#sent = 0;
    this.#roundSeconds = 0;
    this.rounds += 1;
  }
}
