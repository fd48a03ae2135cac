import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aroundMs, MOST_LOOKED_AT } from '../../../src/migration/prediction/own-times.ts';
import { predict } from '../../../src/migration/prediction/predict.ts';
import { guest } from './samples.ts';

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

test('what lies around memory is the median of the latest moves, without waiting, disks and memory', () => {
  assert.equal(aroundMs([took(1000), took(9000), took(2000)]), 2100);
  const many = Array.from({ length: MOST_LOOKED_AT }, () => took(1000));
  assert.equal(aroundMs([...many, ...Array.from({ length: 40 }, () => took(8000))]), 1100);
});

test('too few moves say nothing, and those that failed are not counted', () => {
  assert.equal(aroundMs([took(1000), took(1000)]), undefined);
  assert.equal(aroundMs([took(1000), took(1000), took(1000, 'failed')]), undefined);
});

test('a prediction takes what the site’s own moves took around memory for its own', () => {
  const [usual, slow] = [predict(guest(1)), predict({ ...guest(1), aroundMs: 9000 })];
  const apart = slow.totalMs.middle - usual.totalMs.middle;
  assert.equal(apart, 6000);
  assert.equal(slow.memoryMs.middle, usual.memoryMs.middle);
});
