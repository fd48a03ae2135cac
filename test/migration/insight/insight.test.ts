import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { godwitError } from '../../../src/errors.ts';
import {
  distributionOf,
  insightOf,
  reportedOf,
  scoresOf,
  type ReportedMigration,
} from '../../../src/migration/insight/insight.ts';
import { distribution, insight } from '../../../src/protocol/controller/history.ts';
import { report } from '../../cli/fake.ts';

const reported = (id: string, more: Partial<ReportedMigration> = {}): ReportedMigration => ({
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

test('a distribution counts every amount once, and its quantiles are rising amounts of it', () => {
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

test('only finished migrations are distributed; failures are counted by code with their newest', () => {
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

test('a score counts the results within their range and how far off the middle was', () => {
  const of = (came: number): Pick<ReportedMigration, 'figures'> => ({
    figures: { predicted: { totalMs: [80, 100, 120, came] }, level: 0.9, saved: {} },
  });
  const [score] = scoresOf([of(100), of(110), of(150), of(90)]);
  assert.equal(score?.of, 'totalMs');
  assert.deepEqual([score?.within, score?.level], [0.75, 0.9]);
  assert.equal(score?.error.most, 0.5);
  assert.equal(score?.error.least, -0.1);
  assert.equal(score?.size.quantiles[2]?.amount, 0.1);
});

test('the score of disks counts each disk, and includes errors of less than a millisecond', () => {
  const writesP50Ms = [
    [0.1, 0.2, 0.4, 0.3],
    [0.1, 0.2, 0.4, 0.8],
  ] satisfies [number, number, number, number][];
  const disks = {
    writesP50Ms,
    diskMs: [[1, 2, 4, 3]] satisfies [[number, number, number, number]],
  };
  const move = reported('m-00000001', {
    figures: { predicted: {}, level: 0.8, saved: {}, disks },
  });
  const all = [move, reported('m-00000002')];
  const found = insight.parse(insightOf(all, { sinceMs: 0, untilMs: 5, isPart: false }));
  const [copy, writes, ...others] = found.diskPredictions ?? [];
  assert.deepEqual([copy?.of, copy?.count, copy?.within], ['diskMs', 1, 1]);
  assert.deepEqual([writes?.of, writes?.count, writes?.within], ['writesP50Ms', 2, 0.5]);
  assert.ok(Math.abs((writes?.error.most ?? 0) - 3) < 1e-9);
  assert.deepEqual([others, found.predictions], [[], []]);
});

test('a migration without a report counts by its end, its duration and its reason', () => {
  const error = godwitError('GODWIT_CANCELLED', { guest: 'web1', host: 'a' }).toJSON();
  const listed = { id: 'm-00000001', phase: 'cancelled', elapsedMs: 7, error } as const;
  const found = reportedOf(listed, undefined);
  assert.deepEqual([found.outcome, found.code, found.totalMs], ['cancelled', error.code, 7]);
  assert.deepEqual([found.bytes, found.figures], [undefined, { predicted: {}, saved: {} }]);
  const known = reportedOf({ ...listed, phase: 'done', error: undefined }, report());
  assert.deepEqual([known.outcome, known.code, known.downtimeMs], ['done', undefined, 42]);
});
