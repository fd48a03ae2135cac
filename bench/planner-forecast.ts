import { Calibration } from './forecast/calibration.ts';
import { Forecast, FORECAST, type ForecastOptions } from './forecast/forecast.ts';
import { SortedWindow } from './forecast/sorted-window.ts';
import { madeLoads } from './seasonal.ts';
import { Random } from '../sim/random.ts';
import type { BenchOptions, Measure } from './contract.ts';
import { dataDirectory, daysOf, readDay } from './planner-data.ts';

const SHARES = [0.9, 0.99] as const;
type Share = (typeof SHARES)[number];
const { ahead: AHEAD, perDay: PER_DAY } = FORECAST;
/** Nothing is judged before, samples: four hours of a single day, three days of four weeks. */
const WARM = { day: 48, weeks: 3 * PER_DAY };
/** Parameters were chosen on these; they are left out. */
const CHOSEN_ON = ['20110303', '20110306'];
const MADE_GUESTS = 150;
const MADE_DAYS = 28;
/** What came is this many samples of a naive way's misses at most. */
const MAX_MISSES = 7 * PER_DAY;

/** One way to forecast a guest: it sees each sample, and says what the one `AHEAD` later is at most. */
interface Way {
  observe(value: number): void;
  atMost(share: Share): number;
}

/** All guests of a fleet by one way. `reported`: at one look, the part of the guests that lay below. */
export interface ForecastFleet {
  readonly guests: readonly Way[];
  reported?(share: Share, below: number): void;
}

/** What is forecast: the sample that is `AHEAD`, or the greatest of those up to it. */
type Aim = 'value' | 'peak';

/** A point that is forecast, and around it what the aim was above it so far. */
function around(point: () => (value: number) => number, aim: Aim): Way {
  const next = point();
  const points: number[] = [];
  const values: number[] = [];
  const misses = new SortedWindow(MAX_MISSES);
  return {
    observe: (value) => {
      values.push(value);
      if (values.length > AHEAD) values.shift();
      const came = aim === 'peak' ? Math.max(...values) : value;
      if (points.length >= AHEAD) misses.add(came - (points.shift() ?? 0));
      points.push(next(value));
    },
    atMost: (share) => (points.at(-1) ?? 0) + misses.quantile(share),
  };
}

const last = () => (value: number) => value;

function meanOfDay(): (value: number) => number {
  let [count, sum] = [0, 0];
  return (value) => {
    if (count % PER_DAY === 0) [count, sum] = [0, 0];
    count += 1;
    sum += value;
    return sum / count;
  };
}

function smoothed(): (value: number) => number {
  let level: number | undefined;
  return (value) => (level = level === undefined ? value : level + 0.3 * (value - level));
}

/** The same time yesterday; where there was none, the mean of the day so far. */
function seasonal(): (value: number) => number {
  const values: number[] = [];
  const mean = meanOfDay();
  return (value) => {
    values.push(value);
    const today = mean(value);
    return values.length >= PER_DAY
      ? (values[values.length - 1 - PER_DAY + AHEAD] ?? today)
      : today;
  };
}

/** Of the last two hours: the mean and so many deviations, or the very share. */
function recent(take: (window: readonly number[], share: Share) => number): Way {
  const window: number[] = [];
  return {
    observe: (value) => {
      window.push(value);
      if (window.length > 24) window.shift();
    },
    atMost: (share) => take(window, share),
  };
}

const Z: Readonly<Record<Share, number>> = { 0.9: 1.2816, 0.99: 2.3263 };

function sigma(window: readonly number[], share: Share): number {
  const mean = window.reduce((sum, each) => sum + each, 0) / window.length;
  const square = window.reduce((sum, each) => sum + (each - mean) ** 2, 0) / window.length;
  return mean + Z[share] * Math.sqrt(square);
}

function percentile(window: readonly number[], share: Share): number {
  const sorted = window.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** By name, a fleet of so many guests. */
export function naiveWays(aim: Aim): Readonly<Record<string, (count: number) => ForecastFleet>> {
  return {
    'last value': fleetOf(() => around(last, aim)),
    'mean of the day so far': fleetOf(() => around(meanOfDay, aim)),
    'exponential smoothing': fleetOf(() => around(smoothed, aim)),
    'same time yesterday': fleetOf(() => around(seasonal, aim)),
    'N sigma': fleetOf(() => recent(sigma)),
    percentile: fleetOf(() => recent(percentile)),
  };
}

function fleetOf(make: () => Way): (count: number) => ForecastFleet {
  return (count) => ({ guests: Array.from({ length: count }, make) });
}

/** By the product's own forecast. */
export function forecastFleet(count: number, options: ForecastOptions = FORECAST): ForecastFleet {
  const calibration = new Calibration(SHARES);
  return {
    guests: Array.from({ length: count }, () => {
      const forecast = new Forecast(100, options);
      return {
        observe: (value) => forecast.observe(value),
        atMost: (share) => forecast.atMost(share, calibration) ?? 100,
      };
    }),
    reported: (share, below) => calibration.observe(share, below),
  };
}

interface Score {
  /** By share: the sum of the pinball losses, and how many lay below. */
  readonly loss: Record<Share, number>;
  readonly below: Record<Share, number>;
  count: number;
}

/** `series`: by guest, samples from 0 to 100. */
function judge(series: readonly (readonly number[])[], fleet: ForecastFleet, warm: number): Score {
  const score: Score = { loss: { 0.9: 0, 0.99: 0 }, below: { 0.9: 0, 0.99: 0 }, count: 0 };
  const reported: Record<Share, number>[][] = series.map(() => []);
  const length = series[0]?.length ?? 0;
  for (let at = 0; at < length; at += 1) {
    const below: Record<Share, number> = { 0.9: 0, 0.99: 0 };
    let due = 0;
    for (const [guest, way] of fleet.guests.entries()) {
      const value = series[guest]?.[at] ?? 0;
      const queue = reported[guest] ?? [];
      const promised = queue.length >= AHEAD ? queue.shift() : undefined;
      if (promised !== undefined) {
        due += 1;
        below[0.9] += value <= promised[0.9] ? 1 : 0;
        below[0.99] += value <= promised[0.99] ? 1 : 0;
        if (at >= warm) count(score, value, promised);
      }
      way.observe(value);
      queue.push({ 0.9: way.atMost(0.9), 0.99: way.atMost(0.99) });
    }
    if (due > 0) for (const share of SHARES) fleet.reported?.(share, below[share] / due);
  }
  return score;
}

/** `value` came, and `promised` had been reported of it. */
function count(score: Score, value: number, promised: Readonly<Record<Share, number>>): void {
  score.count += 1;
  for (const share of SHARES) {
    const miss = value - promised[share];
    score.loss[share] += Math.max(share * miss, (share - 1) * miss);
    if (miss <= 0) score.below[share] += 1;
  }
}

/** Pinball loss and coverage an hour ahead, beside the naive ways, on days that nothing was chosen on and on made weeks. */
export function forecastContest({ say, signal, words }: BenchOptions): Measure[] {
  const directory = dataDirectory(words?.data);
  if (directory === undefined) throw new Error('no recorded days: say where with --data DIR');
  const days = daysOf(directory).filter(({ day }) => !CHOSEN_ON.includes(day));
  const random = new Random(25);
  const made = madeLoads(MADE_GUESTS, MADE_DAYS, () => random.next());
  const sets = [
    {
      name: 'recorded days',
      warm: WARM.day,
      fleets: days.map(({ file }) =>
        readDay(file).map(({ loads }) => Array.from(loads, (each) => 100 * each)),
      ),
    },
    {
      name: 'made weeks',
      warm: WARM.weeks,
      fleets: [made.map(({ samples }) => samples.map((each) => 100 * each))],
    },
  ];
  return sets.flatMap(({ name, warm, fleets }) => {
    const scores = new Map<string, Score>();
    const run = (way: string, fleetOf: (count: number) => ForecastFleet): void => {
      for (const series of fleets) {
        signal.throwIfAborted();
        scores.set(way, sumOf(scores.get(way), judge(series, fleetOf(series.length), warm)));
      }
      const score = scores.get(way);
      if (score !== undefined) say(`${name}, ${way}: ${lineOf(score)}`);
    };
    run('ours', forecastFleet);
    for (const [way, make] of Object.entries(naiveWays('value'))) run(way, make);
    return measuresOf(name, scores, fleets.length);
  });
}

function sumOf(before: Score | undefined, { loss, below, count }: Score): Score {
  if (before === undefined) return { loss, below, count };
  const sum = (one: Record<Share, number>, two: Record<Share, number>): Record<Share, number> => ({
    0.9: one[0.9] + two[0.9],
    0.99: one[0.99] + two[0.99],
  });
  return {
    loss: sum(before.loss, loss),
    below: sum(before.below, below),
    count: before.count + count,
  };
}

const lossOf = ({ loss, count }: Score): number => (loss[0.9] + loss[0.99]) / count;

const lineOf = (score: Score): string =>
  SHARES.map(
    (share) =>
      `${share}: loss ${(score.loss[share] / score.count).toFixed(4)}, ${((100 * score.below[share]) / score.count).toFixed(2)} % below`,
  ).join('; ');

function measuresOf(name: string, scores: ReadonlyMap<string, Score>, runs: number): Measure[] {
  const own = scores.get('ours');
  const naive = [...scores].filter(([way]) => way !== 'ours');
  const [best, score] = naive.reduce((left, right) =>
    lossOf(right[1]) < lossOf(left[1]) ? right : left,
  );
  if (own === undefined) return [];
  const coverage = (share: Share): number => (100 * own.below[share]) / own.count;
  const covered = (share: Share, from: number, to: number): Measure[] => [
    {
      name: `forecast, ${name}: coverage of ${share}, at least`,
      value: coverage(share),
      unit: '%',
      runs,
      target: { atLeast: from },
    },
    {
      name: `forecast, ${name}: coverage of ${share}, at most`,
      value: coverage(share),
      unit: '%',
      runs,
      target: { atMost: to },
    },
  ];
  return [
    {
      name: `forecast, ${name}: pinball loss to the best naive way (${best})`,
      value: lossOf(own) / lossOf(score),
      unit: 'x',
      runs,
      target: { atMost: 0.95 },
    },
    ...covered(0.9, 88, 92),
    ...covered(0.99, 98.5, 99.5),
  ];
}
