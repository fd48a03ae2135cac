import { defined } from '../../protocol/defined.ts';

/**
 * Measures how long a guest did not answer, without socket and clock. Answers that cannot be told apart (ARP has no
 * number) are counted, and the time between them is measured. Pure.
 */
export interface Reading {
  /** Longest time between two answers, ms, and its start (monotonic ms); includes a current gap. */
  readonly gapMs: number;
  readonly gapFromMs: number | undefined;
  /** Longest gap that touches the requested time; absent if that time is no longer kept. */
  readonly near?: number;
  readonly isOpen: boolean;
  readonly sent: number;
  readonly answered: number;
  /** Longest time between two ticks, ms; the watch itself may cause a gap of this size. */
  readonly ownStallMs: number;
  readonly watchedMs: number;
}

/** Kept gaps, enough for minutes; the oldest are dropped. */
const MAX_KEPT = 16_384;

interface Silence {
  readonly ms: number;
  readonly fromMs: number;
}

/** Slows the probes down during long silences. */
const SLOWDOWN = [
  { unanswered: 400, slower: 32 },
  { unanswered: 50, slower: 4 },
] as const;

/** Times are monotonic. */
export class Gap {
  readonly #beganMs: number;
  readonly #intervalMs: number;
  #lastTickMs: number;
  #lastAnswerMs: number;
  #lastSentMs = -Infinity;
  #unanswered = 0;
  #sent = 0;
  #answered = 0;
  #ownStallMs = 0;
  #count = 0;
  #longest: Silence | undefined;
  readonly #kept: Silence[] = [];

  /** Starts with an answer. */
  constructor(nowMs: number, intervalMs: number) {
    this.#beganMs = nowMs;
    this.#lastTickMs = nowMs;
    this.#lastAnswerMs = nowMs;
    this.#intervalMs = intervalMs;
  }

  /** Called at each look; true if a probe is due, which counts as sent. */
  tick(nowMs: number): boolean {
    this.#ownStallMs = Math.max(this.#ownStallMs, nowMs - this.#lastTickMs);
    this.#lastTickMs = nowMs;
    const slower = SLOWDOWN.find((step) => this.#unanswered >= step.unanswered)?.slower ?? 1;
    if (nowMs - this.#lastSentMs < this.#intervalMs * slower) return false;
    this.#lastSentMs = nowMs;
    this.#sent += 1;
    this.#unanswered += 1;
    return true;
  }

  answer(nowMs: number, count: number): void {
    if (count <= 0) return;
    const ms = nowMs - this.#lastAnswerMs;
    const silence = { ms, fromMs: this.#lastAnswerMs };
    if (this.#longest === undefined || ms > this.#longest.ms) this.#longest = silence;
    this.#kept[this.#count % MAX_KEPT] = silence;
    this.#count += 1;
    this.#lastAnswerMs = nowMs;
    this.#answered += count;
    this.#unanswered = 0;
  }

  /** True if the silence is not longer than a few probes take. */
  answersNow(nowMs: number): boolean {
    return nowMs - this.#lastAnswerMs <= this.#intervalMs * 3 + 20;
  }

  /** `window`: time by the same clock; the longest gap in it is also reported. */
  read(nowMs: number, window?: { readonly fromMs: number; readonly toMs: number }): Reading {
    const open = { ms: nowMs - this.#lastAnswerMs, fromMs: this.#lastAnswerMs };
    // A usual interval between answers is not a gap.
    const lasts = this.answersNow(nowMs) ? [] : [open];
    const isOpen = lasts.some(({ ms }) => ms > (this.#longest?.ms ?? 0));
    const gap = isOpen ? open : this.#longest;
    const near = window === undefined ? undefined : this.#near(lasts, window.fromMs, window.toMs);
    return {
      ...defined({ near }),
      gapMs: gap?.ms ?? 0,
      gapFromMs: gap?.fromMs,
      isOpen,
      sent: this.#sent,
      answered: this.#answered,
      ownStallMs: this.#ownStallMs,
      watchedMs: nowMs - this.#beganMs,
    };
  }

  #near(lasts: readonly Silence[], fromMs: number, toMs: number): number | undefined {
    const oldest = this.#kept[this.#count % MAX_KEPT]?.fromMs ?? this.#beganMs;
    if (fromMs < oldest) return undefined;
    const touching = [...this.#kept, ...lasts].filter(
      (each) => each.fromMs <= toMs && each.fromMs + each.ms >= fromMs,
    );
    return touching.reduce<number | undefined>(
      (most, { ms }) => Math.max(most ?? 0, ms),
      undefined,
    );
  }
}
