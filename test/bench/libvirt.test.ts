import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from '../../bench/contract.ts';
import { measures } from '../../bench/libvirt.ts';

test('Godwit may add 8 % to the time of virsh and 5 ms to its gap, by medians', () => {
  const moves = (totals: readonly number[], gapMs: number) =>
    totals.map((totalMs) => ({ totalMs, jobMs: totalMs - 100, clientGapMs: gapMs }));
  const hand = moves([900, 1000, 5000], 30);
  const verdicts = (totals: readonly number[], gapMs: number): (boolean | null)[] =>
    measures({ moved: { godwit: moves(totals, gapMs), hand }, lost: { godwit: 1, hand: 0 } })
      .map(judge)
      .flatMap(({ ok, target }) => (target === null ? [] : [ok]));
  assert.deepEqual(verdicts([1, 1080, 9000], 35), [true, true]);
  assert.deepEqual(verdicts([1, 1081, 9000], 36), [false, false]);
  // Whose client lost its connection has no gap.
  const [lost] = hand.map(({ clientGapMs: _, ...times }) => times);
  assert.ok(lost !== undefined);
  const moved = { godwit: [lost, ...moves([900], 34)], hand };
  const gap = measures({ moved, lost: { godwit: 1, hand: 0 } }).find(({ unit }) => unit === 'ms');
  assert.equal(gap?.value, 4);
  assert.deepEqual([gap?.runs, gap?.target], [1, { atMost: 5 }]);
  // One gap of three moves is held against nothing.
  const few = { godwit: [lost, lost, ...moves([900], 34)], hand };
  const left = measures({ moved: few, lost: { godwit: 2, hand: 0 } }).find(
    ({ unit }) => unit === 'ms',
  );
  assert.deepEqual([left?.runs, left?.target], [1, undefined]);
});
