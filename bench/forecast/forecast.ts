import { defined } from '../../src/protocol/defined.ts';
import type { Calibration } from './calibration.ts';
import { SortedWindow } from './sorted-window.ts';

export interface ForecastOptions {
  /** How many samples ahead. */
  readonly ahead: number;
  /** Samples in a day. */
  readonly perDay: number;
  /** The part of the newest level in what is expected; the rest is the mean of the samples. */
  readonly newest: number;
  /** How much of each new sample the newest level takes. */
  readonly follow: number;
  /** Samples that the mean is of, and those that the misses are of. */
  readonly samples: number;
  readonly missSamples: number;
  /** Misses that are assumed before there are any, as a share of the guest's size, and for how many samples they count. */
  readonly swing: number;
  readonly swingWeight: number;
}

/** An hour ahead by samples of 5 minutes. Chosen on the days 20110303 and 20110306. */
export const FORECAST: ForecastOptions = {
  ahead: 12,
  perDay: 288,
  newest: 0.4,
  follow: 0.3,
  samples: 288,
  missSamples: 7 * 288,
  swing: 0.08,
  swingWeight: 8,
};

/** Days without which the time of day says nothing. */
const MIN_DAYS = 3;
/** How much each new day takes of what a time of day is expected to have. */
const DAY_WEIGHT = 0.2;
/** How much of what the guest is above its day now is left after the samples ahead. */
const STAYS_ABOVE = 0.5;
/** How fast the mistakes of each method are forgotten. */
const FORGETS = 0.01;

/** `level`: the guest goes on as it is and was. `newest`: as it is. `day`: as at that time of earlier days. */
const METHODS = ['level', 'newest', 'day'] as const;
type Method = (typeof METHODS)[number];
type Expected = Readonly<Partial<Record<Method, number>>>;

/** What one method missed by. */
interface Past {
  readonly misses: SortedWindow;
  /** The mean miss lately; absent before the first one. */
  mean?: number;
}

/**
 * What one guest asks for some samples ahead. Expects what the method says that was best lately; around that, what this method
 * missed by so far. Units are the caller's; `size` is the most that the guest can use.
 */
export class Forecast {
  readonly #size: number;
  readonly #options: ForecastOptions;
  readonly #window: SortedWindow;
  readonly #past: Readonly<Record<Method, Past>>;
  readonly #shape: Float64Array;
  readonly #days: Uint16Array;
  /** What was expected of the samples to come. */
  readonly #expected: Expected[] = [];
  #count = 0;
  #level = 0;

  constructor(size: number, options: ForecastOptions = FORECAST) {
    this.#size = size;
    this.#options = options;
    this.#window = new SortedWindow(options.samples);
    this.#past = { level: this.#unknown(), newest: this.#unknown(), day: this.#unknown() };
    this.#shape = new Float64Array(options.perDay);
    this.#days = new Uint16Array(options.perDay);
  }

  /** The next sample. One that makes no sense is passed as undefined, and counts as the level. */
  observe(reported: number | undefined): void {
    const { ahead, follow } = this.#options;
    const promised = this.#count >= ahead ? this.#expected.shift() : undefined;
    const value = reported ?? this.#level;
    if (promised !== undefined && reported !== undefined) this.#learn(value, promised);
    this.#level = this.#count === 0 ? value : this.#level + follow * (value - this.#level);
    this.#window.add(value);
    const day = this.#byDay();
    this.#shapeBy(value);
    this.#count += 1;
    const level =
      this.#options.newest * this.#level + (1 - this.#options.newest) * this.#window.mean;
    this.#expected.push({ level, newest: this.#level, ...defined({ day }) });
  }

  /** What is expected `ahead` samples from the newest; undefined before the first one. */
  expected(): number | undefined {
    return this.#expected.at(-1)?.[this.#best()];
  }

  /** What it asks for at most, but for one time in so many: by `calibration`, which has the share; undefined at first. */
  atMost(share: number, calibration?: Calibration): number | undefined {
    const method = this.#best();
    const expected = this.#expected.at(-1)?.[method];
    if (expected === undefined) return undefined;
    const level = calibration?.levelOf(share) ?? share;
    return Math.min(this.#size, Math.max(0, expected + this.#past[method].misses.quantile(level)));
  }

  #unknown(): Past {
    const { missSamples, swing, swingWeight } = this.#options;
    const misses = new SortedWindow(missSamples);
    for (let at = 0; at < swingWeight; at += 1)
      misses.add(this.#size * swing * (((2 * at + 1) / swingWeight - 1) * 2));
    return { misses };
  }

  #best(): Method {
    const now = this.#expected.at(-1);
    let best: Method = 'level';
    for (const method of METHODS) {
      const mean = this.#past[method].mean;
      if (mean === undefined || now?.[method] === undefined) continue;
      if (mean < (this.#past[best].mean ?? Infinity)) best = method;
    }
    return best;
  }

  #learn(value: number, promised: Expected): void {
    for (const method of METHODS) {
      const expected = promised[method];
      if (expected === undefined) continue;
      const past = this.#past[method];
      const miss = value - expected;
      past.misses.add(miss);
      past.mean = (past.mean ?? Math.abs(miss)) * (1 - FORGETS) + FORGETS * Math.abs(miss);
    }
  }

  /** What the time of day had on earlier days, and part of what the guest is above its day now. */
  #byDay(): number | undefined {
    const { ahead, perDay } = this.#options;
    const now = this.#count % perDay;
    const then = (this.#count + ahead) % perDay;
    if (Math.min(this.#days[now] ?? 0, this.#days[then] ?? 0) < MIN_DAYS) return undefined;
    return (this.#shape[then] ?? 0) + STAYS_ABOVE * (this.#level - (this.#shape[now] ?? 0));
  }

  #shapeBy(value: number): void {
    const slot = this.#count % this.#options.perDay;
    const days = this.#days[slot] ?? 0;
    const before = this.#shape[slot] ?? 0;
    const weight = Math.max(DAY_WEIGHT, 1 / (days + 1));
    this.#shape[slot] = before + weight * (value - before);
    this.#days[slot] = days + 1;
  }
}
