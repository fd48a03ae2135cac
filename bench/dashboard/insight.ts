/** What the migrations of the made-up fleet came to. Pure. */
import type { Insight } from '../../src/protocol/controller/history.ts';
import { at, dice, GIB } from './sample-values.ts';

/** Share, and how many times the middle. */
const QUANTILES = [
  [0.05, 0.35],
  [0.25, 0.7],
  [0.5, 1],
  [0.75, 1.4],
  [0.9, 1.9],
  [0.95, 2.3],
  [0.99, 3.1],
  [1, 3.6],
] as const;

function distribution(middle: number, count: number, seed: number) {
  const most = middle * 3.6;
  const bins = Array.from({ length: 18 }, (_, index) => ({
    from: (most / 18) * index,
    to: (most / 18) * (index + 1),
    count: Math.round(
      count *
        0.14 *
        Math.exp(-((index - 5) ** 2) / (index < 5 ? 5 : 22)) *
        (0.8 + 0.4 * dice(index + seed)),
    ),
  }));

  return {
    count,
    least: middle * 0.2,
    mean: middle * 1.1,
    most,
    quantiles: QUANTILES.map(([share, times]) => ({ share, amount: middle * times })),
    bins,
  };
}

export function insight(): Insight {
  const signed = (middle: number) => {
    const found = distribution(Math.abs(middle), 212, 9);
    const shift = (value: number): number => value - Math.abs(middle) * 1.4;
    return {
      ...found,
      least: shift(found.least),
      mean: shift(found.mean),
      most: shift(found.most),
      quantiles: found.quantiles.map(({ share, amount }) => ({ share, amount: shift(amount) })),
      bins: found.bins.map((bin) => ({ ...bin, from: shift(bin.from), to: shift(bin.to) })),
    };
  };
  return {
    since: at(30 * 1440),
    until: at(0),
    count: 1284,
    isPart: false,
    outcomes: [
      { outcome: 'done', count: 1241 },
      { outcome: 'failed', count: 27 },
      { outcome: 'cancelled', count: 14 },
      { outcome: 'held', count: 2 },
    ],
    totalMs: distribution(21_000, 1241, 1),
    downtimeMs: distribution(58, 1241, 2),
    clientGapMs: distribution(120, 830, 3),
    bytes: distribution(4.2 * GIB, 1241, 4),
    predictions: (['bytes', 'totalMs', 'downtimeMs', 'clientGapMs'] as const).map((of, index) => ({
      of,
      count: 212,
      within: 0.93 - index * 0.03,
      level: 0.9,
      error: signed(0.12 + index * 0.05),
      size: distribution(0.1 + index * 0.04, 212, index),
    })),
    saved: [
      { kind: 'zero', bytes: 3100 * GIB },
      { kind: 'seen before', bytes: 940 * GIB },
      { kind: 'delta', bytes: 212 * GIB },
      { kind: 'compressed', bytes: 1480 * GIB },
    ],
    failures: [
      { code: 'GODWIT_NOT_CONVERGED', count: 13, newest: 'm-ended0000005' },
      { code: 'GODWIT_CPU_FEATURE', count: 9, newest: 'm-ended0000003' },
      { code: 'GODWIT_UNREACHABLE', count: 5, newest: 'm-ended0000002' },
    ],
  };
}
