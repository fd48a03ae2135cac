import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  afterMeasure,
  afterRound,
  type SteeringTrace,
} from '../../../src/migration/steering/trace.ts';
import { sampleOf } from '../direct/samples.ts';

function after(remaining: readonly number[]): SteeringTrace | undefined {
  let trace: SteeringTrace | undefined;
  for (const [index, remainingBytes] of remaining.entries())
    trace = afterRound(trace, sampleOf({ round: index + 1, remainingBytes }));
  return trace;
}

test('only a new minimum by 5 % is progress, and an oscillating remainder is not', () => {
  assert.equal(after([1000, 500, 400])?.stalledRounds, 0);
  assert.equal(after([1000, 500, 476])?.stalledRounds, 1);
  assert.equal(after([1000, 500, 900, 510, 880])?.stalledRounds, 3);
  assert.equal(after([1000, 500, 900, 450])?.stalledRounds, 0);
  assert.equal(after([1000, 500, 900])?.leastBytes, 500);
});

test('an empty remainder is a new minimum once', () => {
  assert.equal(after([1000, 0])?.stalledRounds, 0);
  assert.equal(after([1000, 0, 0, 0])?.stalledRounds, 2);
});

test('a round that a new mover sees again counts once', () => {
  const trace = after([1000, 500, 500]);
  assert.equal(afterRound(trace, sampleOf({ round: 3, remainingBytes: 480 })), trace);
});

test('a measure gets a number of rounds, and its setting is kept', () => {
  const change = { of: 'downtimeMs', from: 100, to: 300 } as const;
  const trace = afterMeasure(after([1000, 500, 500]), 'downtime: so', change);
  assert.deepEqual([trace.stalledRounds, trace.decidedRound, trace.downtimeMs], [0, 3, 300]);
  assert.equal(trace.last, 'downtime: so');
  const throttle = { of: 'throttlePercent', from: 0, to: 20 } as const;
  assert.equal(afterMeasure(trace, 'throttle: so', throttle).downtimeMs, 300);
});
