import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  aroundMs,
  assumedAroundMs,
  learnedFactor,
} from '../../../src/migration/prediction/own-times.ts';
import type { OwnMove } from '../../../src/migration/prediction/own-moves.ts';
import {
  AROUND_MS,
  MAX_LOOKED_AT,
  SLOWER,
  STARTED_MS,
} from '../../../src/migration/prediction/parameters.ts';
import { predict } from '../../../src/migration/prediction/predict.ts';
import { anyFacts, guest } from './samples.ts';

const took = (checking: number, outcome: 'done' | 'failed' = 'done') => ({
  outcome,
  finished: 'precopy' as const,
  phases: [
    { phase: 'planned' as const, ms: 60_000 },
    { phase: 'checking' as const, ms: checking },
    { phase: 'disks' as const, ms: 90_000 },
    { phase: 'memory' as const, ms: 5000 },
    { phase: 'draining' as const, ms: 7000 },
    { phase: 'cleanup' as const, ms: 100 },
  ],
});

test('the overhead around memory is the median of the latest moves, without waiting, disks and memory', () => {
  assert.equal(aroundMs([took(1000), took(9000), took(2000)], AROUND_MS), 2100);
  const many = Array.from({ length: MAX_LOOKED_AT }, () => took(1000));
  const more = [...many, ...Array.from({ length: 40 }, () => took(8000))];
  assert.equal(aroundMs(more, AROUND_MS), 1100);
});

test('a first move weighs four times as much as the assumption; a failed move is not counted', () => {
  const [assumed, seen] = [AROUND_MS, 12_100];
  const first = aroundMs([took(12_000), took(1000, 'failed')], assumed);
  assert.ok(Math.abs(first - assumed * (seen / assumed) ** 0.8) < 1, String(first));
  const second = aroundMs([took(12_000), took(12_000)], assumed);
  assert.ok(second > first && second < seen);
  assert.equal(aroundMs([took(1000, 'failed')], assumed), assumed);
});

test('a host whose processes start slowly is assumed to need more time around memory, within a bound', () => {
  assert.equal(assumedAroundMs(), AROUND_MS);
  assert.equal(assumedAroundMs(STARTED_MS), AROUND_MS);
  assert.equal(assumedAroundMs(2 * STARTED_MS), 2 * AROUND_MS);
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (startedMs) => {
      const [assumed, later] = [startedMs, startedMs * 1.5].map(
        (each) => assumedAroundMs(each) / AROUND_MS,
      );
      assert.ok(assumed! >= SLOWER.least && assumed! <= later!, String(assumed));
      assert.ok(later! <= SLOWER.most, String(later));
    }),
  );
});

test("a prediction uses the overhead around memory of the site's moves", () => {
  const [usual, slow] = [predict(guest(1)), predict({ ...guest(1), aroundMs: 9000 })];
  const apart = slow.totalMs.middle - usual.totalMs.middle;
  assert.equal(apart, 9000 - AROUND_MS);
  assert.equal(slow.memoryMs.middle, usual.memoryMs.middle);
});

const stood = (downtimeMs: number, kind: Partial<OwnMove> = {}): OwnMove => ({
  finished: 'precopy',
  byWire: false,
  several: false,
  maxDowntimeMs: 100,
  downtimeMs,
  ...kind,
});

test('a predicted downtime follows the moves of the same kind, the more of them the closer', () => {
  const said = predict(guest(1)).downtimeMs.middle;
  const after = (moves: OwnMove[]) =>
    predict({ ...guest(1), ownMoves: moves }).downtimeMs.middle / said;
  const times = (count: number) => Array.from({ length: count }, () => stood(said * 4));
  assert.ok(Math.abs(after(times(1)) - 2) < 0.05, String(after(times(1))));
  assert.ok(after(times(3)) > 2.7 && after(times(9)) > 3.4);
  // One that went otherwise says nothing of it.
  for (const other of [
    { finished: 'postcopy' },
    { byWire: true },
    { several: true },
    { maxDowntimeMs: 300 },
  ] as const)
    assert.equal(after([stood(said * 4, other)]), 1);
});

test('after three moves of a kind less than a quarter is left of a threefold difference', () => {
  const kind = stood(0);
  const left = (ratio: number, count: number) => {
    const moves = Array.from({ length: count }, () => stood(100 * ratio));
    return Math.abs((100 * learnedFactor(100, kind, moves)) / (100 * ratio) - 1);
  };
  assert.ok(left(3, 2) > 0.25 && left(3, 3) < 0.25 && left(3, 9) < 0.11);
  assert.ok(left(1 / 2, 2) > 0.25 && left(1 / 2, 3) < 0.25 && left(1 / 2, 9) < 0.11);
});

test('only the latest moves of a kind count, however many of another lie between', () => {
  const kind = stood(0);
  const latest = Array.from({ length: MAX_LOOKED_AT }, () => [
    stood(50),
    stood(9, { several: true }),
  ]).flat();
  const old = Array.from({ length: 20 }, () => stood(5000));
  assert.equal(learnedFactor(50, kind, [...latest, ...old]), learnedFactor(50, kind, latest));
});

test('one move with a very long downtime does not set the rule', () => {
  const kind = stood(0);
  assert.equal(learnedFactor(100, kind, [stood(45_000)]), 8);
  assert.equal(learnedFactor(45_000, kind, [stood(100)]), 1 / 8);
});

test('learned overheads change neither time nor bytes, and are between the assumption and the measurement', () => {
  const moves = fc.array(
    fc.record({
      finished: fc.constantFrom('precopy' as const, 'postcopy' as const),
      byWire: fc.boolean(),
      several: fc.boolean(),
      maxDowntimeMs: fc.constantFrom(100, 300),
      downtimeMs: fc.double({ min: 1, max: 10_000, noNaN: true }),
    }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(anyFacts, moves, fc.constantFrom(100, 300), (facts, ownMoves, maxDowntimeMs) => {
      const asked = { ...facts, settings: { ...facts.settings, maxDowntimeMs } };
      const [plain, learned] = [predict(asked), predict({ ...asked, ownMoves })];
      assert.deepEqual(
        [learned.totalMs, learned.bytes, learned.converges],
        [plain.totalMs, plain.bytes, plain.converges],
      );
      const seen = ownMoves.map(({ downtimeMs }) => downtimeMs);
      const { low, middle, high } = learned.downtimeMs;
      assert.ok(low <= middle && middle <= high);
      assert.ok(middle >= Math.min(plain.downtimeMs.middle, ...seen) - 1);
      assert.ok(middle <= Math.max(plain.downtimeMs.middle, ...seen) + 1);
    }),
  );
});
