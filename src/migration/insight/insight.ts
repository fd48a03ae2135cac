import {
  DISK_PREDICTED,
  PREDICTED,
  type DiskScore,
  type Distribution,
  type Insight,
  type MigrationOutcome,
  type PredictionScore,
} from '../../protocol/controller/history.ts';
import { isEnd, type MigrationSummary, type Report } from '../../protocol/public/migration.ts';
import { amountsOf, figuresOf, type Figures, type Pair } from './figures.ts';

/** Statistics over the migrations of a period. Pure. */

export interface ReportedMigration {
  readonly id: string;
  readonly outcome: MigrationOutcome;
  readonly code: string | undefined;
  readonly totalMs: number | undefined;
  readonly downtimeMs: number | undefined;
  readonly clientGapMs: number | undefined;
  readonly bytes: number | undefined;
  readonly figures: Figures;
}

export function reportedOf(
  { id, phase, elapsedMs, error }: Pick<MigrationSummary, 'id' | 'phase' | 'elapsedMs' | 'error'>,
  report: Report | undefined,
): ReportedMigration {
  const outcome = isEnd(phase) ? phase : 'lost';
  const code = (report?.error ?? error)?.code;
  if (report !== undefined)
    return { id, outcome, code, ...amountsOf(report), figures: figuresOf(report) };
  const unknown = { downtimeMs: undefined, clientGapMs: undefined, bytes: undefined };
  const figures = { predicted: {}, saved: {} };
  return { id, outcome, code, totalMs: elapsedMs, ...unknown, figures };
}

const SHARES = [0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1];
const BINS = 24;

/** Undefined without amounts. If they differ more than tenfold, the bins grow geometrically. */
export function distributionOf(amounts: readonly number[]): Distribution | undefined {
  const sorted = amounts.toSorted((left, right) => left - right);
  const [least, most] = [sorted[0], sorted.at(-1)];
  if (least === undefined || most === undefined) return undefined;
  const mean = sorted.reduce((sum, each) => sum + each / sorted.length, 0);
  return {
    count: sorted.length,
    least,
    mean: Math.min(most, Math.max(least, mean)),
    most,
    quantiles: SHARES.map((share) => ({ share, amount: quantile(sorted, share) })),
    bins: binsOf(sorted, least, most),
  };
}

/** Smallest amount that is not exceeded by this share. `sorted`: not empty. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

function binsOf(sorted: readonly number[], least: number, most: number): Distribution['bins'] {
  const edges = edgesOf(least, most);
  const bins = edges.slice(1).map((to, index) => ({ from: edges[index] ?? least, to, count: 0 }));
  let at = 0;
  for (const each of sorted) {
    while (at < bins.length - 1 && each >= (bins[at]?.to ?? Infinity)) at += 1;
    const bin = bins[at];
    if (bin !== undefined) bin.count += 1;
  }
  return bins;
}

/** Rising; the last edge is the maximum. */
function edgesOf(least: number, most: number): number[] {
  if (least === most) return [least, most];
  const grows = least > 0 && most / least > 10;
  const [from, to] = grows ? [Math.log(least), Math.log(most)] : [least, most];
  const inner = Array.from({ length: BINS - 1 }, (_none, at) => {
    const edge = from + ((to - from) * (at + 1)) / BINS;
    return grows ? Math.exp(edge) : edge;
  });
  const within = inner.filter((edge) => edge > least && edge < most);
  return [...new Set([least, ...within, most])];
}

export interface InsightWindow {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly isPart: boolean;
}

/** Newest first. */
export function insightOf(
  all: readonly ReportedMigration[],
  { sinceMs, untilMs, isPart }: InsightWindow,
): Insight {
  const done = all.filter(({ outcome }) => outcome === 'done');
  const spread = (
    of: (reported: ReportedMigration) => number | undefined,
  ): Distribution | undefined => distributionOf(done.flatMap((each) => of(each) ?? []));
  const diskScores = diskScoresOf(all);
  const spreads = {
    totalMs: spread((each) => each.totalMs),
    downtimeMs: spread((each) => each.downtimeMs),
    clientGapMs: spread((each) => each.clientGapMs),
    bytes: spread((each) => each.bytes),
  };
  return {
    since: new Date(sinceMs).toISOString(),
    until: new Date(untilMs).toISOString(),
    count: all.length,
    isPart,
    outcomes: countsOf(all.map(({ outcome }) => outcome)).map(([outcome, count]) => ({
      outcome,
      count,
    })),
    ...Object.fromEntries(Object.entries(spreads).filter(([, each]) => each !== undefined)),
    predictions: scoresOf(all),
    ...(diskScores.length === 0 ? {} : { diskPredictions: diskScores }),
    saved: savedOf(all),
    failures: failuresOf(all),
  };
}

type ReportedFigures = Pick<ReportedMigration, 'figures'>;

/** Compares predictions with results: errors, and how often the ranges held. */
export function scoresOf(all: readonly ReportedFigures[]): PredictionScore[] {
  return PREDICTED.flatMap((name) =>
    scoreOf(
      name,
      all.map(({ figures: { level, predicted } }) => {
        const pair = predicted[name];
        return { level, pairs: pair === undefined ? [] : [pair] };
      }),
    ),
  );
}

export function diskScoresOf(all: readonly ReportedFigures[]): DiskScore[] {
  return DISK_PREDICTED.flatMap((name) =>
    scoreOf(
      name,
      all.map(({ figures: { level, disks } }) => ({ level, pairs: disks?.[name] ?? [] })),
    ),
  );
}

interface PredictionComparison {
  readonly level: number | undefined;
  readonly pairs: readonly Pair[];
}

/** Smaller amounts are only predicted of requests, which take a few microseconds at least. */
const MIN = 1;
const MIN_MS = 0.001;

function scoreOf<N extends PredictionScore['of'] | DiskScore['of']>(
  name: N,
  all: readonly PredictionComparison[],
): (Omit<PredictionScore, 'of'> & { of: N })[] {
  const pairs = all.flatMap(({ level = 0, pairs: found }) =>
    found.map((pair) => ({ pair, level })),
  );
  const least = /P\d\dMs$/.test(name) ? MIN_MS : MIN;
  const errors = pairs.map(
    ({ pair: [, middle, , came] }) => (came - middle) / Math.max(least, middle),
  );
  const error = distributionOf(errors);
  const size = distributionOf(errors.map(Math.abs));
  if (error === undefined || size === undefined) return [];
  const within = pairs.filter(({ pair: [low, , high, came] }) => came >= low && came <= high);
  const level = pairs.reduce((sum, pair) => sum + pair.level, 0) / pairs.length;
  return [
    {
      of: name,
      count: pairs.length,
      within: within.length / pairs.length,
      level: Math.min(1, level),
      error,
      size,
    },
  ];
}

function countsOf<T extends string>(all: readonly T[]): [T, number][] {
  const counts = new Map<T, number>();
  for (const each of all) counts.set(each, (counts.get(each) ?? 0) + 1);
  return [...counts].toSorted(([, one], [, other]) => other - one);
}

function savedOf(all: readonly ReportedMigration[]): Insight['saved'] {
  const sums = new Map<string, number>();
  for (const { figures } of all)
    for (const [kind, bytes] of Object.entries(figures.saved))
      sums.set(kind, Math.min(Number.MAX_SAFE_INTEGER, (sums.get(kind) ?? 0) + Math.round(bytes)));
  return [...sums]
    .map(([kind, bytes]) => ({ kind, bytes }))
    .toSorted((one, other) => other.bytes - one.bytes)
    .slice(0, 32);
}

function failuresOf(all: readonly ReportedMigration[]): Insight['failures'] {
  const failed = all.flatMap(({ code, id }) => (code === undefined ? [] : [{ code, id }]));
  return countsOf(failed.map(({ code }) => code))
    .slice(0, 256)
    .map(([code, count]) => ({
      code,
      count,
      newest: failed.find((each) => each.code === code)?.id ?? '',
    }));
}
