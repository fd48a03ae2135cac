import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  END_PHASES,
  check,
  isEnd,
  memorySample,
  migrationRequest,
  migrationSettings,
  migrationSummary,
  phase,
  progress,
  report,
} from '../../../src/protocol/public/migration.ts';
import { testThroughJson } from '../through-json.ts';

testThroughJson({
  migrationRequest,
  memorySample,
  progress,
  check,
  report,
  migrationSummary,
});

describe('the settings of a migration', () => {
  test('omitted settings of a migration have their defaults', () => {
    assert.deepEqual(migrationSettings.parse({}), {
      mode: 'precopy',
      maxDowntimeMs: 100,
      streams: 1,
      compress: 'none',
      timeoutMs: 600_000,
      hybridRounds: 3,
      onLost: 'hold',
    });
  });

  test('invalid settings of a migration are refused', () => {
    for (const bad of [
      { mode: 'telepathy' },
      { streams: 0 },
      { streams: 17 },
      { maxDowntimeMs: 0 },
      { maxBandwidth: 100 },
      { timeoutMs: 86_400_001 },
      { timeoutMs: Number.POSITIVE_INFINITY },
      { hybridRounds: 1.5 },
    ]) {
      assert.equal(migrationSettings.safeParse(bad).success, false, JSON.stringify(bad));
    }
  });
});

describe('a phase', () => {
  test('a phase is an end exactly if the migration does not leave it by itself', () => {
    assert.deepEqual(
      phase.options.filter((one) => isEnd(one)),
      [...END_PHASES],
    );
    assert.equal(isEnd('undoing'), false);
  });
});

describe('stream figures', () => {
  test('stream figures are whole bytes that JSON represents exactly', () => {
    const sample = memorySample.parse({
      totalBytes: Number.MAX_SAFE_INTEGER,
      remainingBytes: 0,
      transferredBytes: 0,
      skippedBytes: 0,
      rate: 0,
      dirtyRate: 0,
      round: 0,
      totalMs: 0,
    });
    assert.equal(sample.pageRequests, 0);
    for (const bad of [-1, 0.5, Number.NaN, 2 ** 60]) {
      assert.equal(memorySample.safeParse({ ...sample, rate: bad }).success, false);
    }
  });
});
