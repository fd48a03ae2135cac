import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figuresOf } from '../../../src/migration/insight/figures.ts';
import { report } from '../../cli/fake.ts';

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
