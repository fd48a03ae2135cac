import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from '../../bench/contract.ts';
import { errorOf, measures } from '../../bench/prediction-score.ts';
import { report } from '../cli/fake.ts';
import { plannedTo } from '../cli/planned-move.ts';

const { prediction } = plannedTo('b');

test('an error is a share of what it came to', () => {
  assert.ok(Math.abs(errorOf({ low: 0, middle: 80, high: 100 }, 100) - 0.2) < 1e-9);
  assert.ok(Math.abs(errorOf({ low: 0, middle: 120, high: 200 }, 100) - 0.2) < 1e-9);
  assert.equal(errorOf({ low: 0, middle: 0, high: 0 }, 0), 0);
});

test('what was predicted is held against what moves came to, and what did not end against the probability', () => {
  assert.ok(prediction !== undefined);
  const exact = { ...report(), totalMs: 6000, bytes: prediction.bytes.middle, downtimeMs: 200 };
  const never = { ...prediction, converges: { probability: 0, why: '' } };
  const found = measures([
    { name: 'ends', prediction, report: exact, clientGapMs: prediction.clientGapMs.middle },
    { name: 'never', prediction: never, report: undefined },
  ]);
  const of = (name: string) => found.find((each) => each.name.startsWith(name))?.value;
  assert.equal(of('total time: error'), 0);
  assert.equal(of('bytes: within'), 1);
  assert.equal(of('downtime: within'), 0);
  assert.equal(of('client gap: error'), 0);
  assert.equal(of('said to end'), 1);
  assert.equal(of('said not to end'), 1);
});

test('a range that holds every outcome is as wrong as one that holds too few', () => {
  assert.ok(prediction !== undefined);
  const exact = { ...report(), bytes: prediction.bytes.middle };
  const found = measures([{ name: 'ends', prediction, report: exact }]);
  const held = found.find(({ name }) => name.startsWith('bytes: within'));
  assert.ok(held !== undefined);
  for (const [value, ok] of [
    [0.74, false],
    [0.8, true],
    [1, false],
  ] as const)
    assert.equal(judge({ ...held, value }).ok, ok);
});

test('nothing is reported of no moves', () => {
  assert.deepEqual(measures([]), []);
});
