/**
 * What the client checks and measures, without a socket or a clock: lines `1`, `2`, `3`, ... were
 * sent, and each must be answered once, in order, with the server's own count beside it.
 */
export interface ProbeReading {
  readonly sent: number;
  readonly received: number;
  /** Answers that were skipped, and answers that came again; both stay 0 while the guest is one guest. */
  readonly lost: number;
  readonly doubled: number;
  /** Largest time between two answers since the mark, ms, and when it began (wall clock, ms). */
  readonly gapMs: number;
  readonly gapAtMs: number | undefined;
  /** Median time between two answers since the mark: what the instrument can resolve. */
  readonly typicalGapMs: number;
  /** Longest time for which the probe itself did not run: a gap of this size may be its own. */
  readonly ownStallMs: number;
  readonly sinceMarkMs: number;
}

const MAX_SAMPLES = 4096;

/**
 * After a silence of `silentMs` only every `every`th tick sends, so that a long one does not fill
 * TCP's window; the end of a silence is still seen to within a few percent of its length.
 */
const SLOWDOWN = [
  { silentMs: 4000, every: 32 },
  { silentMs: 500, every: 4 },
] as const;

/** Times are monotonic; a gap that still lasts when it is read counts as far as it has come. */
export class CounterCheck {
  #ticks = 0;
  #sent = 0;
  #received = 0;
  #expected = 1;
  #lost = 0;
  #doubled = 0;
  #partial = '';
  #lastAnswerMs: number;
  #lastTickMs: number;
  #markMs: number;
  #gap = { ms: 0, fromMs: 0 };
  #ownStallMs = 0;
  #intervals = 0;
  #samples: number[] = [];

  constructor(nowMs: number) {
    this.#lastAnswerMs = nowMs;
    this.#lastTickMs = nowMs;
    this.#markMs = nowMs;
  }

  /** The line to send at this tick, if any. */
  next(nowMs: number): string | undefined {
    this.#ownStallMs = Math.max(this.#ownStallMs, nowMs - this.#lastTickMs);
    this.#lastTickMs = nowMs;
    this.#ticks += 1;
    const silentMs = this.#received < this.#sent ? nowMs - this.#lastAnswerMs : 0;
    const every = SLOWDOWN.find((step) => silentMs >= step.silentMs)?.every ?? 1;
    if (this.#ticks % every !== 0) return undefined;
    this.#sent += 1;
    return `${this.#sent}\n`;
  }

  /** Takes what came from the server. */
  receive(text: string, nowMs: number): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop() ?? '';
    if (lines.length === 0) return;
    for (const line of lines) this.#answer(line);
    const fromMs = Math.max(this.#lastAnswerMs, this.#markMs);
    if (nowMs - fromMs > this.#gap.ms) this.#gap = { ms: nowMs - fromMs, fromMs };
    // A ring: the median of the latest intervals is all that is asked of them.
    this.#samples[this.#intervals % MAX_SAMPLES] = nowMs - fromMs;
    this.#intervals += 1;
    this.#lastAnswerMs = nowMs;
  }

  /** Gaps are counted from here on. */
  mark(nowMs: number): void {
    this.#markMs = nowMs;
    this.#gap = { ms: 0, fromMs: nowMs };
    this.#ownStallMs = 0;
    this.#intervals = 0;
    this.#samples = [];
  }

  read(nowMs: number, wallMs: number): ProbeReading {
    const openFromMs = Math.max(this.#lastAnswerMs, this.#markMs);
    const open = { ms: nowMs - openFromMs, fromMs: openFromMs };
    const gap = open.ms > this.#gap.ms ? open : this.#gap;
    return {
      sent: this.#sent,
      received: this.#received,
      lost: this.#lost,
      doubled: this.#doubled,
      gapMs: gap.ms,
      gapAtMs: gap.ms === 0 ? undefined : wallMs - (nowMs - gap.fromMs),
      typicalGapMs: median(this.#samples),
      ownStallMs: Math.max(this.#ownStallMs, nowMs - this.#lastTickMs),
      sinceMarkMs: nowMs - this.#markMs,
    };
  }

  #answer(line: string): void {
    const [count = '', sequence = ''] = line.split(' ');
    const number = Number(count);
    this.#received += 1;
    if (!Number.isInteger(number) || number !== Number(sequence)) this.#lost += 1;
    else if (number < this.#expected) this.#doubled += 1;
    else {
      this.#lost += number - this.#expected;
      this.#expected = number + 1;
    }
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
