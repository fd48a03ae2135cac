import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  costOf,
  FEW,
  lostOf,
  MAX_DOWNTIME_MS,
  nameOf,
  pointsOf,
  verdictOf,
  WHOLE,
  type ConvergenceMethod,
  type MoveResult,
} from '../../bench/convergence-grid.ts';

const [point] = WHOLE;
function tried(way: ConvergenceMethod, given: Partial<MoveResult> = {}): MoveResult {
  assert.ok(point !== undefined);
  return { point, way, finished: true, totalMs: 10_000, lostS: 0, ...given };
}

test('the whole grid has the few points and more, each once', () => {
  const names = WHOLE.map(nameOf);
  assert.equal(new Set(names).size, 24);
  for (const each of FEW) assert.ok(names.includes(nameOf(each)), nameOf(each));
});

test('points are named by their numbers in the whole grid, and what names none is refused', () => {
  assert.deepEqual(pointsOf('1-24'), WHOLE);
  assert.deepEqual(pointsOf('2,1-2,24').map(nameOf), [
    'dirty 0.2x, set 20 %',
    'dirty 0.2x, set 5 %',
    'dirty 3x, set 80 %',
  ]);
  for (const none of ['', '0', '25', '3-2', '1-', '1.5', 'x', '1,,2'])
    assert.throws(() => pointsOf(none), /--points .*: a number from 1 to 24/);
});

test('work is lost by what was not written, and never gained', () => {
  assert.equal(lostOf(10_000, 50, 10), 5);
  assert.equal(lostOf(10_000, 500, 10), 0);
  assert.equal(lostOf(10_000, 0, 0), 0);
});

test('what did not end is worse than anything, and a point counts once', () => {
  assert.equal(costOf(tried('qemu', { lostS: 2 })), 12);
  assert.equal(costOf(tried('qemu', { finished: false })), Infinity);
  const lost = [tried('standard', { finished: false }), tried('postcopy')];
  assert.deepEqual(verdictOf(lost), { points: 1, missed: 1, asGood: 0 });
  const good = [tried('standard', { finished: false }), tried('must-finish'), tried('postcopy')];
  assert.deepEqual(verdictOf(good), { points: 1, missed: 0, asGood: 1 });
});

test('a point that nothing got through says nothing of anyone', () => {
  const none = [tried('standard', { finished: false }), tried('qemu', { finished: false })];
  assert.deepEqual(verdictOf(none), { points: 0, missed: 0, asGood: 0 });
});

test('a move that took a longer downtime than it was given did not get through', () => {
  assert.equal(costOf(tried('standard', { downtimeMs: MAX_DOWNTIME_MS })), 10);
  const late = { downtimeMs: MAX_DOWNTIME_MS + 1 };
  assert.equal(costOf(tried('standard', late)), Infinity);
  const lost = [tried('standard', late), tried('postcopy')];
  assert.deepEqual(verdictOf(lost), { points: 1, missed: 1, asGood: 0 });
});
