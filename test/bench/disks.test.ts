import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judge } from '../../bench/contract.ts';
import {
  copyTimes,
  pairMeasures,
  shareOfNeeded,
  thinMeasures,
  writesMeasures,
  writesOf,
  writtenIn,
  type DiskMove,
} from '../../bench/disks-figures.ts';
import type { QmpEvent } from '../../lab/witness/monitor.ts';

const MIB = 1024 ** 2;

function moveOf(given: Partial<DiskMove> = {}): DiskMove {
  return {
    totalMs: 1000,
    clientGapMs: 40,
    linkBytes: 1100 * MIB,
    memoryBytes: 50 * MIB,
    allocatedBytes: 1000 * MIB,
    rewrittenBytes: 50 * MIB,
    ...given,
  };
}

const job = (status: string, atMs: number): QmpEvent => {
  return { event: 'JOB_STATUS_CHANGE', atMs, data: { status, id: 'mirror0' } };
};
const stop = (atMs: number): QmpEvent => ({ event: 'STOP', atMs, data: {} });

test('a copy begins with the first job and the guest stops last, also where it stopped before', () => {
  const events = [stop(5), job('created', 10), job('running', 11), job('created', 12), stop(90)];
  assert.deepEqual(copyTimes(events), { begunAtMs: 10, stoppedAtMs: 90 });
});

test('a move in which no disk was copied, or the guest never stopped, is none', () => {
  assert.throws(() => copyTimes([stop(1)]), /copies a disk/);
  assert.throws(() => copyTimes([job('created', 1), job('ready', 2)]), /stands/);
});

test('what a guest writes in a time follows from its own clock and count', () => {
  const before = { diskBytes: 10 * MIB, uptimeMs: 1000 };
  assert.equal(writtenIn(500, before, { diskBytes: 15 * MIB, uptimeMs: 2000 }), 2.5 * MIB);
  assert.equal(writtenIn(500, before, before), 0);
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1 }), (ms, bytes, past) => {
      const after = { diskBytes: before.diskBytes + bytes, uptimeMs: before.uptimeMs + past };
      assert.ok(writtenIn(ms, before, after) >= 0);
      assert.ok(Math.abs(writtenIn(past, before, after) - bytes) < 1);
    }),
  );
});

test('of the link only what memory did not take is the disk’s', () => {
  assert.equal(shareOfNeeded(moveOf()), 1);
  assert.equal(shareOfNeeded(moveOf({ linkBytes: 50 * MIB })), 0);
});

test('Godwit is compared with its own pair of medians, and each target is one of Godwit’s', () => {
  const godwit = [900, 1100, 1000].map((totalMs) => moveOf({ totalMs }));
  const hand = [1000, 1000, 5000].map((totalMs) => moveOf({ totalMs, linkBytes: 2000 * MIB }));
  const judged = pairMeasures('4 GiB raw', godwit, hand).map(judge);
  const targets = judged.filter(({ target }) => target !== null);
  assert.deepEqual(
    targets.map(({ name, value, ok }) => [name, value, ok]),
    [
      ['4 GiB raw: total time, Godwit / by hand', 1, true],
      ['4 GiB raw: on the link, of allocated and rewritten', 1, true],
    ],
  );
});

test('a thin image that was filled with nothing on the way misses its targets', () => {
  const moved = {
    totalMs: 1,
    linkBytes: 400 * MIB,
    memoryBytes: 60 * MIB,
    allocatedBefore: 301 * MIB,
    allocatedAfter: 20_480 * MIB,
  };
  const judged = thinMeasures('thin', [moved]).map(judge);
  assert.deepEqual(
    judged.filter(({ ok }) => ok === false).map(({ name }) => name),
    ['thin: on the link', 'thin: allocated at the end'],
  );
});

test('what the guest’s writes took is told apart by when, as far as it was seen', () => {
  const range = (middle: number) => ({ low: 0, middle, high: 9 });
  const requests = (p50Ms: number) => ({ writes: { count: 9, p50Ms } });
  const writes = writesOf({
    diskLatency: [{ node: 'disk0', before: requests(1), during: requests(3) }],
    prediction: {
      diskLatency: [
        { node: 'disk0', reads: {}, flushes: {}, writes: { p50Ms: range(2), p99Ms: range(7) } },
      ],
    } as never,
  });
  const found = writesMeasures('raw', [moveOf({ writes }), moveOf()]);
  assert.deepEqual(
    found.map(({ name, value, runs }) => [name, value, runs]),
    [
      ["raw: the guest's writes, p50 before", 1, 1],
      ["raw: the guest's writes, p50 during", 3, 1],
      ["raw: the guest's writes, p50 predicted", 2, 1],
      ["raw: the guest's writes, p99 predicted", 7, 1],
    ],
  );
  assert.deepEqual(writesMeasures('raw', [moveOf({ writes: writesOf({}) })]), []);
});
