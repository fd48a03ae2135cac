import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  clockDifference,
  isNearSwitch,
  isWatchedEarly,
  seenElsewhere,
  probeHosts,
  probeReportOf,
} from '../../../src/migration/report/probes.ts';
import { memorySample } from '../../../src/protocol/public/migration.ts';

const GIB = 1024 ** 3;
const sample = (given: object) =>
  memorySample.parse({
    totalBytes: 64 * GIB,
    remainingBytes: 64 * GIB,
    transferredBytes: 0,
    skippedBytes: 0,
    rate: 0,
    dirtyRate: 0,
    round: 1,
    totalMs: 0,
    ...given,
  });

describe('other hosts that probe the guest', () => {
  test('probing hosts are peers that have no part in the migration, and only a few', () => {
    const peers = ['b', 'c', 'd', 'e', 'f', 'g'];
    assert.deepEqual(probeHosts(undefined, peers, ['a', 'b']), ['c', 'd', 'e', 'f']);
    assert.deepEqual(probeHosts(undefined, ['b'], ['a', 'b']), []);
  });

  test('probing hosts are the named ones, including the two ends', () => {
    assert.deepEqual(probeHosts(['b', 'a', 'b'], ['b', 'c'], ['a', 'b']), ['b', 'a']);
    assert.deepEqual(probeHosts([], ['b', 'c'], ['a', 'b']), []);
  });

  test('probes begin early if the switch comes early, and otherwise when memory is nearly done', () => {
    assert.equal(isWatchedEarly('postcopy', 64 * GIB), true);
    assert.equal(isWatchedEarly('precopy', GIB), true);
    assert.equal(isWatchedEarly('precopy', 64 * GIB), false);
    assert.equal(isNearSwitch(sample({})), false);
    assert.equal(isNearSwitch(sample({ rate: GIB })), false);
    assert.equal(isNearSwitch(sample({ rate: GIB, remainingBytes: 20 * GIB })), true);
    assert.equal(isNearSwitch(sample({ rate: GIB, round: 2 })), true);
    assert.equal(isNearSwitch(sample({ remainingBytes: GIB })), true);
  });

  test("probes report the gap by the source's clock, or the reason why there is none", () => {
    const seen = {
      kind: 'arp',
      address: '10.9.0.21',
      intervalMs: 10,
      gapMs: 80,
      gapBeganAgoMs: 500,
      isOpen: false,
      sent: 100,
      answered: 92,
      ownStallMs: 7,
      watchedMs: 1000,
    } as const;
    const { gapBeganAgoMs: _ago, ...figures } = seen;
    assert.deepEqual(probeReportOf('c', { seen }, 2500), { host: 'c', ...figures, gapAtMs: 2000 });
    assert.equal(probeReportOf('c', { seen }, 100).gapAtMs, 0);
    assert.deepEqual(probeReportOf('c', { notTried: 'why' }, 1), { host: 'c', notTried: 'why' });
    assert.ok((probeReportOf('c', {}, 1).notTried ?? '').length > 0);
  });

  test("probing hosts get the switch in their clock's time, as precisely as the fastest answer allows", () => {
    const first = clockDifference(undefined, 1000, 6010, 1020);
    assert.deepEqual(first, { aheadMs: 5000, tookMs: 20 });
    assert.equal(clockDifference(first, 2000, 7100, 2100), first);
    assert.deepEqual(clockDifference(first, 3000, 8001, 3004), { aheadMs: 4999, tookMs: 4 });
  });

  test('probes are in the report only if they were requested', () => {
    const known = (given: object) => seenElsewhere({ known: given } as never);
    assert.deepEqual(known({}), {});
    assert.deepEqual(known({ vantages: [] }), {});
    const vantages = [{ host: 'c', notTried: 'why' }];
    assert.deepEqual(known({ vantages, firstFrameMs: 3 }), { vantages, firstFrameMs: 3 });
  });
});
