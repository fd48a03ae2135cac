import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../../src/planner/sim/seeded.ts';

test('a seed repeats its numbers, other seeds give others, and they fill 0 to 1', () => {
  const numbers = (seed: number): number[] => {
    const next = seeded(seed);
    return Array.from({ length: 2000 }, () => next());
  };
  assert.deepEqual(numbers(7), numbers(7));
  assert.notDeepEqual(numbers(7), numbers(8));
  const sorted = numbers(7).toSorted((left, right) => left - right);
  assert.ok((sorted[0] ?? -1) >= 0 && (sorted.at(-1) ?? 2) < 1);
  assert.ok(Math.abs((sorted[1000] ?? 0) - 0.5) < 0.05);
});
