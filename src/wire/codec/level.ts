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

/** With no compression in force, each so many batches one is compressed all the same, to see whether it pays. */
const PROBE_EVERY = 8;
const PROBE: Choice = { level: 1, windowLog: 0 };
/** Batches below this say little about what compresses how. */
const SIGNIFICANT_BYTES = 65_536;
/** Batches whose speeds are kept, and how many it takes to know one: the first are slow to start. */
const SPEEDS = 15;
const MIN_SPEEDS = 8;
/** Of the ratio: weight of the newest batch, and of one that was tried with no compression in force. */
const NEWEST = 0.1;
const PROBED = 0.4;
/** A level that has proved too much is not tried again for so long: each change costs the window. */
const REST_MS = 10_000;
/** On a thin link, that it is too much must hold for so long: content and a busy host's clock change by the batch. */
const TOO_MUCH_MS = 1500;
/** Changes that are kept; one a second at most comes to over an hour. */
const MAX_CHANGES = 4096;

/** The level in force: measures, asks the policy, keeps what was changed and why. */
export class LevelControl {
  readonly changes: LevelChange[] = [];
  #choice: Choice;
  #changedAtMs = -Infinity;
  #upAfterMs = -Infinity;
  #tooMuchSinceMs: number | undefined;
  #link: number | undefined;
  /** Of the last batches, at level 1. */
  readonly #speeds: number[] = [];
  #ratio: number | undefined;
  #batches = 0;
  readonly #cores: number;
  readonly #saidBytesPerS: number | undefined;

  /** `saidBytesPerS`: what the link is said to carry; it counts until that was measured. */
  constructor(cores: number, saidBytesPerS?: number) {
    this.#cores = cores;
    this.#saidBytesPerS = saidBytesPerS;
    this.#choice = firstChoice(saidBytesPerS);
  }

  get choice(): Choice {
    return this.#choice;
  }

  /** The link is so thin that bytes decide. */
  get thin(): boolean {
    return isThin(this.#link ?? this.#saidBytesPerS);
  }

  /** What the link carries, as whoever sends over it has measured it. */
  linkCarries(bytesPerS: number): void {
    if (bytesPerS > 0) this.#link = bytesPerS;
  }

  /** The choice for the next batch. */
  next(nowMs: number): Choice {
    this.#batches += 1;
    const settled = nowMs - this.#changedAtMs >= MIN_CHANGE_MS;
    if (settled && this.#link !== undefined) this.#reconsider(nowMs);
    const probe = this.#choice.level === 0 && this.#batches % PROBE_EVERY === 0;
    return probe ? PROBE : this.#choice;
  }

  /** A batch was compressed under `choice` in `tookMs` of one processor. */
  compressed(choice: Choice, plainBytes: number, wireBytes: number, tookMs: number): void {
    if (choice.level === 0 || plainBytes < SIGNIFICANT_BYTES) return;
    const speed = (plainBytes * 1000) / Math.max(tookMs, 0.01);
    const one = atLevelOne(choice, speed, plainBytes / Math.max(wireBytes, 1));
    this.#speeds.push(one.bytesPerS);
    if (this.#speeds.length > SPEEDS) this.#speeds.shift();
    this.#ratio = smooth(this.#ratio, one.ratio, this.#choice.level === 0 ? PROBED : NEWEST);
  }

  /** The middle one: a thread that had to wait for its processor says nothing of how fast it is. */
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
