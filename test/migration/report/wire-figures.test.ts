import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addWire } from '../../../src/migration/report/wire-figures.ts';
import { wireFigures } from '../../../src/protocol/wire.ts';
import { wireReportOf } from '../direct/samples.ts';

test("a single session's figures are the migration's", () => {
  const figures = wireReportOf();
  assert.deepEqual(addWire(undefined, figures), figures);
});

test("another session's figures are added, with the longest cut and the first levels", () => {
  const level = { atMs: 5, from: { level: 1, windowLog: 0 }, to: { level: 3, windowLog: 0 } };
  const first = wireReportOf({ cuts: 2, longestCutMs: 4000, levels: [level] });
  const levels = Array.from({ length: 256 }, () => ({ ...level, atMs: 9 }));
  const second = wireReportOf({ told: { zero: 1, same: 7 }, cuts: 1, longestCutMs: 900, levels });
  const sum = addWire(first, second);
  assert.deepEqual(sum.told, { zero: 101, literal: 20, same: 7 });
  assert.deepEqual([sum.cuts, sum.longestCutMs, sum.sessions], [3, 4000, 2]);
  assert.equal(sum.linkBytes, first.linkBytes + second.linkBytes);
  assert.equal(sum.levels.length, 256);
  assert.equal(sum.levels[0]?.atMs, 5);
  assert.deepEqual(wireFigures.parse(sum), sum);
});

test('the order of the sessions changes no sum', () => {
  const any = fc.record({ linkBytes: fc.nat(), misses: fc.nat(), longestCutMs: fc.nat() });
  fc.assert(
    fc.property(any, any, (left, right) => {
      const [one, other] = [wireReportOf(left), wireReportOf(right)];
      assert.deepEqual(addWire(one, other), addWire(other, one));
    }),
  );
});
