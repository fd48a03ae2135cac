import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judge, median, onlyOf, table } from '../../bench/contract.ts';

const measure = { name: 'gap', value: 5, unit: 'ms', runs: 7 };

test('a measure meets its target at the bound itself', () => {
  assert.equal(judge({ ...measure, target: { atMost: 5 } }).ok, true);
  assert.equal(judge({ ...measure, target: { atLeast: 5 } }).ok, true);
  assert.equal(judge({ ...measure, value: 5.01, target: { atMost: 5 } }).ok, false);
  assert.equal(judge({ ...measure, value: 4.99, target: { atLeast: 5 } }).ok, false);
});

test('a measure with two bounds meets them together', () => {
  const target = { atLeast: 5, atMost: 6 };
  for (const [value, ok] of [
    [4.99, false],
    [5, true],
    [6, true],
    [6.01, false],
    [Number.NaN, false],
  ] as const)
    assert.deepEqual(judge({ ...measure, value, target }), {
      ...measure,
      value,
      target: '>= 5, <= 6',
      ok,
    });
});

test('what is left out by --only is left out, and a name that there is not is refused with those that there are', () => {
  const known = ['cold', 'return'];
  assert.equal(onlyOf({}, known), undefined);
  assert.deepEqual(onlyOf({ words: { only: 'return,cold' } }, known), ['return', 'cold']);
  for (const only of ['warm', 'cold,', '']) {
    assert.throws(() => onlyOf({ words: { only } }, known), /--only .*there is cold, return/);
  }
});

test('a measure without a target is neither met nor missed', () => {
  assert.deepEqual(judge(measure), { ...measure, target: null, ok: null });
});

test('a figure that could not be had misses its target', () => {
  assert.equal(judge({ ...measure, value: Number.NaN, target: { atMost: 5 } }).ok, false);
});

test('half of the values lie on each side of their median', () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
      const middle = median(values);
      const below = values.filter((value) => value < middle).length;
      const above = values.filter((value) => value > middle).length;
      assert.ok(below <= values.length / 2 && above <= values.length / 2);
    }),
  );
});

test('there is no median of nothing', () => {
  assert.throws(() => median([]), RangeError);
});

test('the table says what was missed', () => {
  const lines = table([
    judge({ ...measure, target: { atMost: 5 } }),
    judge({ ...measure, name: 'total', value: 1234.5, target: { atMost: 1000 } }),
    judge({ ...measure, name: 'told' }),
  ]).split('\n');
  assert.deepEqual(lines, [
    'measure  value    runs  target',
    'gap      5 ms     7     <= 5     ok',
    'total    1235 ms  7     <= 1000  MISSED',
    'told     5 ms     7     -',
  ]);
});
