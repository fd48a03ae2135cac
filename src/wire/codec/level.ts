import type { Choice } from './compression.ts';
import {
  atLevelOne,
  chooseLevel,
  firstChoice,
  isThin,
  MIN_CHANGE_MS,
  predict,
  type LevelChange,
  type CodecMeasures,
} from './policy.ts';

/** Without compression, one in this many batches is still compressed as a test. */
const PROBE_EVERY = 8;
const PROBE: Choice = { level: 1, windowLog: 0 };
/** Smaller batches are not representative. */
const SIGNIFICANT_BYTES = 65_536;
/** Measured batches, and the number for a valid speed: the first ones start slowly. */
const SPEEDS = 15;
const MIN_SPEEDS = 8;
/** Weight of the newest batch in the ratio, and of a test batch without compression. */
const NEWEST = 0.1;
const PROBED = 0.4;
/** Time before a level that was too slow is tried again: each change costs the window. */
const REST_MS = 10_000;
/** Time for which a level must be too slow on a thin link: content and timing vary per batch. */
const TOO_MUCH_MS = 1500;
/** Limit of recorded changes; at most one per second, so over an hour. */
const MAX_CHANGES = 4096;

/** Controls the level: measures, applies the policy, and records changes with reasons. */
export class LevelControl {
  readonly changes: LevelChange[] = [];
  #choice: Choice;
  #changedAtMs = -Infinity;
  #upAfterMs = -Infinity;
  #tooMuchSinceMs: number | undefined;
  #link: number | undefined;
  readonly #speeds: number[] = [];
  #ratio: number | undefined;
  #batches = 0;
  readonly #cores: number;
  readonly #saidBytesPerS: number | undefined;

  /** `saidBytesPerS`: assumed rate of the link until it is measured. */
  constructor(cores: number, saidBytesPerS?: number) {
    this.#cores = cores;
    this.#saidBytesPerS = saidBytesPerS;
    this.#choice = firstChoice(saidBytesPerS);
  }

  get choice(): Choice {
    return this.#choice;
  }

  get thin(): boolean {
    return isThin(this.#link ?? this.#saidBytesPerS);
  }

  linkCarries(bytesPerS: number): void {
    if (bytesPerS > 0) this.#link = bytesPerS;
  }

  next(nowMs: number): Choice {
    this.#batches += 1;
    const settled = nowMs - this.#changedAtMs >= MIN_CHANGE_MS;
    if (settled && this.#link !== undefined) this.#reconsider(nowMs);
    const probe = this.#choice.level === 0 && this.#batches % PROBE_EVERY === 0;
    return probe ? PROBE : this.#choice;
  }

  /** Records a batch compressed with `choice` in `tookMs` of one processor. */
  compressed(choice: Choice, plainBytes: number, wireBytes: number, tookMs: number): void {
    if (choice.level === 0 || plainBytes < SIGNIFICANT_BYTES) return;
    const speed = (plainBytes * 1000) / Math.max(tookMs, 0.01);
    const one = atLevelOne(choice, speed, plainBytes / Math.max(wireBytes, 1));
    this.#speeds.push(one.bytesPerS);
    if (this.#speeds.length > SPEEDS) this.#speeds.shift();
    this.#ratio = smooth(this.#ratio, one.ratio, this.#choice.level === 0 ? PROBED : NEWEST);
  }

  /** Median, because a thread that waited for its processor would distort the mean. */
  #speed(): number | undefined {
    if (this.#speeds.length < MIN_SPEEDS) return undefined;
    return this.#speeds.toSorted((left, right) => left - right)[this.#speeds.length >> 1];
  }

  #reconsider(atMs: number): void {
    const measured: CodecMeasures = {
      linkBytesPerS: this.#link,
      cores: this.#cores,
      bytesPerS: this.#speed(),
      ratio: this.#ratio,
    };
    const from = this.#choice;
    const to = chooseLevel(from, measured);
    const up = to.level > from.level;
    if (up || to === from) this.#tooMuchSinceMs = undefined;
    if (to === from || (up && atMs < this.#upAfterMs)) return;
    if (!up && this.thin && atMs - (this.#tooMuchSinceMs ??= atMs) < TOO_MUCH_MS) return;
    this.#tooMuchSinceMs = undefined;
    if (!up) this.#upAfterMs = atMs + REST_MS;
    this.#choice = to;
    this.#changedAtMs = atMs;
    if (this.changes.length >= MAX_CHANGES) this.changes.shift();
    const predictedFrom = predict(from, measured);
    const predictedTo = predict(to, measured);
    this.changes.push({ atMs, from, to, measured, predictedFrom, predictedTo });
  }
}

function smooth(before: number | undefined, newest: number, weight: number): number {
  return before === undefined ? newest : before + (newest - before) * weight;
}
