import { systemClock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import type { SwitchTime, WatchEnd, WatchResult } from '../../protocol/peer/probe.ts';
import type { Later } from '../../protocol/public/probe.ts';
import { findProbe, type AnsweredProbe, type ProbeSearch } from './find.ts';
import { Gap } from './gap.ts';
import { Waits } from './latency.ts';

/** Interval between checks for a due question, ms. */
const LOOK_MS = 5;
/** Wait for a silent guest at the end of a watch, ms. */
const SETTLE_MS = 2000;
const TOO_SOON = 'it was over before it was known what the guest answers from there';

/** Intervals after the end, between probes and between looks, ms. */
const [LATER_INTERVAL_MS, LATER_LOOK_MS] = [100, 25];

/** Margin around the switchover for the clock's uncertainty and effects right after it, ms. */
const NEAR_MS = 100;

/** In this process's monotonic time. */
function windowOf({ fromMs, toMs }: SwitchTime, now: number): { fromMs: number; toMs: number } {
  const offset = now - systemClock.wallMs();
  return { fromMs: fromMs + offset - NEAR_MS, toMs: toMs + offset + NEAR_MS };
}

export class GuestWatch {
  readonly #over = new AbortController();
  readonly #found: Promise<AnsweredProbe | string>;
  #gap: Gap | undefined;
  #waits = new Waits();
  #timer: NodeJS.Timeout | undefined;
  readonly #leastMs: number;

  constructor(wanted: ProbeSearch) {
    this.#leastMs = wanted.leastIntervalMs ?? 0;
    this.#found = findProbe(wanted, this.#over.signal).then(
      (found) => {
        if (typeof found !== 'string' && !this.#over.signal.aborted) this.#begin(found);
        return found;
      },
      (thrown: unknown) => toGodwitError(thrown).message,
    );
  }

  #begin(found: AnsweredProbe): void {
    const { probe } = found;
    this.#gap = new Gap(systemClock.monotonicMs(), this.#intervalMs(probe));
    found.onAnswer = () => {
      const now = systemClock.monotonicMs();
      this.#gap?.answer(now, 1);
      this.#waits.answered(now);
    };
    this.#lookEach(Math.max(LOOK_MS, this.#intervalMs(probe) / 4), probe);
  }

  #intervalMs({ intervalMs }: AnsweredProbe['probe']): number {
    return Math.max(intervalMs, this.#leastMs);
  }

  #lookEach(everyMs: number, probe: AnsweredProbe['probe']): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      const now = systemClock.monotonicMs();
      if (this.#gap?.tick(now) !== true) return;
      this.#waits.asked(now);
      probe.ask();
    }, everyMs);
  }

  /** Resolves once a probe has an answer (undefined), or with the reason for none. Never rejects. */
  async begun(): Promise<WatchResult | undefined> {
    const found = await this.#found;
    return typeof found === 'string' ? { notTried: found } : undefined;
  }

  /**
   * Ends the watch, after a short wait for a silent guest, and returns the results. `laterMs`: it continues at a
   * lower rate until closed.
   */
  async end({ switch: at, memoryFromMs, laterMs }: WatchEnd = {}): Promise<WatchResult> {
    const gap = this.#gap;
    if (gap === undefined) {
      const isKnown = await Promise.race([this.#found, Promise.resolve(undefined)]);
      await this.close();
      return { notTried: typeof isKnown === 'string' ? isKnown : TOO_SOON };
    }
    const until = systemClock.monotonicMs() + SETTLE_MS;
    while (!gap.answersNow(systemClock.monotonicMs()) && systemClock.monotonicMs() < until)
      await systemClock.sleep(LOOK_MS);
    const found = await this.#found;
    const now = systemClock.monotonicMs();
    const { gapFromMs, near, ...read } = gap.read(now, at && windowOf(at, now));
    if (laterMs === undefined || typeof found === 'string') await this.close();
    if (typeof found === 'string') return { notTried: found };
    const { kind, address } = found.probe;
    const intervalMs = this.#intervalMs(found.probe);
    const ago = gapFromMs === undefined ? {} : { gapBeganAgoMs: now - gapFromMs };
    const atSwitch = near === undefined ? {} : { switchGapMs: near };
    const offset = now - systemClock.wallMs();
    const latency = this.#waits.read({
      memoryFromMs: memoryFromMs === undefined ? undefined : memoryFromMs + offset,
      ranMs: at === undefined ? undefined : at.toMs + offset,
    });
    if (laterMs !== undefined) this.#startAnew(now, found.probe);
    const goesOn = laterMs === undefined ? {} : { goesOnMs: laterMs };
    return {
      seen: { kind, address, intervalMs, ...read, ...ago, ...atSwitch, latency },
      ...goesOn,
    };
  }

  #startAnew(now: number, probe: AnsweredProbe['probe']): void {
    this.#gap = new Gap(now, LATER_INTERVAL_MS);
    this.#waits = new Waits();
    this.#lookEach(LATER_LOOK_MS, probe);
  }

  later(): Omit<Later, 'complete'> {
    const read = this.#gap?.read(systemClock.monotonicMs());
    const { sent = 0, answered = 0, gapMs = 0, watchedMs = 0 } = read ?? {};
    const waits = this.#waits.all();
    // A question from before the end may be answered after it.
    const seen = { sent, answered: Math.min(answered, sent), gapMs, forMs: watchedMs };
    return { ...defined({ waits }), ...seen };
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#over.abort(new Error('the watch is over'));
    const found = await this.#found;
    if (typeof found !== 'string') await found.probe.close();
  }
}
