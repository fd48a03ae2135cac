import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { steer } from '../../../src/migration/steering/steering.ts';
import type { Decision } from '../../../src/migration/steering/decision.ts';
import { afterFailure, afterMeasure, afterRound } from '../../../src/migration/steering/trace.ts';
import type { MemorySample } from '../../../src/protocol/public/migration.ts';
import { STRATEGIES, type SteeringMeasure } from '../../../src/protocol/public/steering.ts';
import { sampleOf } from '../direct/samples.ts';

/** What was decided takes time to show on the stream, or fails to be set. */

const MiB = 1024 * 1024;
const ALL: readonly SteeringMeasure[] = ['downtime', 'throttle', 'postcopy'];

describe('a pending throttle', () => {
  const strategy = STRATEGIES['no-postcopy'];
  const settings = { mode: 'precopy', maxDowntimeMs: 1 } as const;
  const stalled = { remainingBytes: 100 * MiB, rate: 10 * MiB, dirtyRate: 50 * MiB };
  /** Rounds of 100 ms, from the one after a throttle by 20 %; `percent`: how much the guest is slowed down by then. */
  function decided(rounds: number, percent: number | undefined): Decision | undefined {
    const change = { of: 'throttlePercent', from: 0, to: 20 } as const;
    const at = (round: number): MemorySample =>
      sampleOf({
        ...stalled,
        round,
        totalMs: round * 100,
        expectedDowntimeMs: 10_000,
        transferredBytes: 0,
        ...(percent === undefined ? {} : { throttlePercent: percent }),
      });
    let trace = afterMeasure(afterRound(undefined, at(5)), 'throttle', change);
    for (let round = 6; round <= 5 + rounds; round += 1) trace = afterRound(trace, at(round));
    const view = { sample: at(5 + rounds), trace, levers: ALL, settings, leftMs: 600_000 };
    return steer(strategy, view);
  }

  test('a throttle that the hypervisor has not applied yet is awaited, however many short rounds pass', () => {
    for (const rounds of [2, 5, 20]) assert.equal(decided(rounds, undefined), undefined);
  });

  test('a throttle is followed by the next one as soon as it shows', () => {
    assert.equal(decided(2, 20)?.what, 'throttle');
  });

  test('a throttle that never shows is not awaited forever', () => {
    assert.notEqual(decided(200, undefined), undefined);
  });
});

test('a setting that failed again and again is omitted', () => {
  const change = { of: 'throttlePercent', from: 0, to: 20 } as const;
  const sample = (round: number): MemorySample =>
    sampleOf({ round, remainingBytes: 100 * MiB, rate: 10 * MiB, dirtyRate: 50 * MiB });
  let trace = afterRound(undefined, sample(2));
  for (let round = 3; round < 20; round += 3) {
    trace = afterFailure(afterMeasure(trace, 'throttle', change), 'it could not be set');
    trace = afterRound(afterRound(trace, sample(round)), sample(round + 1));
  }
  const settings = { mode: 'precopy', maxDowntimeMs: 1 } as const;
  const view = { sample: sample(21), trace, levers: ALL, settings, leftMs: 600_000 };
  assert.notEqual(steer(STRATEGIES['no-postcopy'], view)?.what, 'throttle');
  assert.ok((trace.failed?.length ?? 0) <= 8);
});
