import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figures, figuresOf } from '../../../src/migration/insight/figures.ts';
import { prediction as answer } from '../../../src/protocol/public/prediction.ts';
import { report } from '../../cli/fake.ts';
import { plannedTo } from '../../cli/planned-move.ts';

test("a report's figures compare the result with its prediction, and include the wire's savings", () => {
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
  const found = figuresOf(report({ prediction }));
  // Of one that was capped by the time of day nobody knows which cap its prediction went by.
  assert.deepEqual(figuresOf(report({ prediction, timedCap: 70_000 })).predicted, {});
  assert.deepEqual(found.predicted.downtimeMs, [1, 2, 50, 42]);
  assert.equal(found.level, 0.9);
});

test('the prediction of a disk is next to its result if enough requests were counted', () => {
  const times = (p50: number, p99: number) => ({
    p50Ms: { low: 0.1, middle: p50, high: 9 },
    p99Ms: { low: 0.1, middle: p99, high: 9 },
  });
  const expected = (node: string) => ({
    node,
    now: {},
    reads: {},
    writes: times(1, 2),
    flushes: times(1, 2),
  });
  const ms = { low: 1000, middle: 2000, high: 4000 };
  const prediction = {
    ...answer.parse(plannedTo('b').prediction),
    disks: { ms, bytes: ms },
    diskLatency: [expected('disk0'), expected('disk1')],
  };
  const seen = (count: number) => ({ count, p50Ms: 3, p99Ms: 8 });
  const diskLatency = [
    { node: 'disk0', during: { writes: seen(150), flushes: seen(20) } },
    { node: 'disk1', during: { writes: { ...seen(150), isLeast: true as const } } },
  ];
  const made = report();
  const phases = [{ phase: 'disks' as const, ms: 3000 }, ...made.phases];
  const moved = report({ prediction, diskLatency, phases });
  const { disks, level } = figures.parse(figuresOf(moved));
  assert.equal(level, prediction.level);
  assert.deepEqual(disks, {
    diskMs: [[1000, 2000, 4000, 3000]],
    writesP50Ms: [[0.1, 1, 9, 3]],
    writesP99Ms: [[0.1, 2, 9, 8]],
    flushesP50Ms: [[0.1, 1, 9, 3]],
  });
  assert.equal(figuresOf({ ...moved, outcome: 'failed' }).disks, undefined);
  assert.equal(figuresOf(report()).disks, undefined);
});
