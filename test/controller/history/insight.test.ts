import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { columnsOf, figuresOf } from '../../../src/controller/history/figures.ts';
import { distributionOf, insightOf, scoresOf } from '../../../src/controller/history/insight.ts';
import type { Reported } from '../../../src/controller/history/insight.ts';
import { cameTo } from '../../../src/migration/report/outcome-figures.ts';
import { distribution, insight } from '../../../src/protocol/controller/history.ts';
import { report } from '../../cli/fake.ts';

const reported = (id: string, more: Partial<Reported> = {}): Reported => ({
  id,
  outcome: 'done',
  code: undefined,
  totalMs: 1000,
  downtimeMs: 20,
  clientGapMs: undefined,
  bytes: 5,
  figures: { predicted: {}, saved: {} },
  ...more,
});

test('a distribution counts every amount once, and its quantiles are amounts of it that rise', () => {
  const amounts = fc.array(fc.double({ min: -1e6, max: 1e12, noNaN: true }), { minLength: 1 });
  fc.assert(
    fc.property(amounts, (all) => {
      const made = distribution.parse(distributionOf(all));
      assert.equal(made.count, all.length);
      assert.equal(
        made.bins.reduce((sum, { count }) => sum + count, 0),
        all.length,
      );
      assert.equal(made.quantiles.at(-1)?.amount, Math.max(...all));
      for (const [at, { share, amount }] of made.quantiles.entries()) {
        assert.ok(all.includes(amount));
        assert.ok(all.filter((each) => each <= amount).length >= share * all.length);
        assert.ok(at === 0 || amount >= made.quantiles[at - 1]!.amount);
      }
      for (const { from, to } of made.bins) assert.ok(from <= to);
    }),
  );
  assert.equal(distributionOf([]), undefined);
});

test('only what came to its end is distributed; failures are counted by code with their newest', () => {
  const failed = { outcome: 'failed', code: 'GODWIT_DEADLINE', totalMs: 9e9 } as const;
  const all = [
    reported('m-00000003', failed),
    reported('m-00000002'),
    reported('m-00000001', failed),
  ];
  const made = insight.parse(insightOf(all, { sinceMs: 0, untilMs: 5, isPart: false }));
  assert.deepEqual([made.count, made.totalMs?.count, made.totalMs?.most], [3, 1, 1000]);
  assert.deepEqual(made.failures, [{ code: 'GODWIT_DEADLINE', count: 2, newest: 'm-00000003' }]);
  assert.deepEqual(made.outcomes[0], { outcome: 'failed', count: 2 });
  assert.equal(made.clientGapMs, undefined);
});

test('a score says how many lay within their range and how far off the middle was', () => {
  const of = (came: number): Pick<Reported, 'figures'> => ({
    figures: { predicted: { totalMs: [80, 100, 120, came] }, level: 0.9, saved: {} },
  });
  const [score] = scoresOf([of(100), of(110), of(150), of(90)]);
  assert.equal(score?.of, 'totalMs');
  assert.deepEqual([score?.within, score?.level], [0.75, 0.9]);
  assert.equal(score?.error.most, 0.5);
  assert.equal(score?.error.least, -0.1);
  assert.equal(score?.size.quantiles[2]?.amount, 0.1);
});

test('a report’s figures are what it came to beside its prediction, and what the wire spared', () => {
  const wire = {
    streamBytes: 10 * 4096 + 1000,
    linkBytes: 1000,
    returnBytes: 0,
    told: { zero: 4, literal: 6, cached: 1 },
    misses: 0,
    levels: [],
    processorMs: 0,
    cuts: 0,
    longestCutMs: 0,
    sessions: 1,
  };
  assert.deepEqual(figuresOf(report({ wire })).saved, {
    'zero pages': 4 * 4096,
    'pages of the cache': 4096,
    'compressed and deltas': 5 * 4096,
  });
  const range = { low: 1, middle: 2, high: 50 };
  const predicted = ['bytes', 'totalMs', 'memoryMs', 'rounds', 'downtimeMs', 'clientGapMs'].map(
    (name) => [name, range],
  );
  const prediction = {
    level: 0.9,
    ...Object.fromEntries(predicted),
    converges: { probability: 1, why: 'it is idle' },
  } as NonNullable<ReturnType<typeof report>['prediction']>;
  const figures = figuresOf(report({ prediction }));
  assert.deepEqual(figures.predicted.downtimeMs, [1, 2, 50, 42]);
  assert.equal(figures.level, 0.9);
});

test('a link that was held back on purpose is not read for its rate', () => {
  const free = columnsOf(report());
  assert.equal(free.link_rate, 118 * 1024 * 1024);
  assert.equal(free.dirty_rate, 20 * 1024 * 1024);
  const { settings } = report();
  const held = columnsOf(report({ settings: { ...settings, maxBandwidth: 4096 } }));
  assert.equal(held.link_rate, null);
});

test('the time for which a migration waited for its moment is no part of what it took, and stays in its report', () => {
  const worked = report();
  const waited = report({
    totalMs: worked.totalMs + 3_600_000,
    phases: [{ phase: 'planned', ms: 3_600_000 }, ...worked.phases],
  });
  assert.equal(columnsOf(waited).total_ms, worked.totalMs);
  assert.equal(cameTo(waited).totalMs, worked.totalMs);
  assert.equal(waited.totalMs, worked.totalMs + 3_600_000);
});
