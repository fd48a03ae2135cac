import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schedule } from '../../bench/overhead.ts';
import { startParts } from '../../bench/start-phases.ts';
import { spans, streamTimes } from '../../bench/stream-times.ts';
import type { QmpEvent } from '../../lab/witness/monitor.ts';
import type { SourceRecord } from '../../src/migration/direct/journal.ts';
import type { SourceEvent } from '../../src/migration/direct/source/source-state.ts';

function migration(status: string, atMs: number): QmpEvent {
  return { event: 'MIGRATION', atMs, data: { status } };
}
const STOP = { event: 'STOP', atMs: 1900, data: {} };

test('the times are those of the latest stream, and count from the order', () => {
  const earlier = [migration('setup', 10), migration('active', 20), migration('failed', 30)];
  const events = [
    ...earlier,
    migration('setup', 1000),
    migration('active', 1050),
    STOP,
    migration('completed', 2000),
  ];
  const times = streamTimes(events);
  assert.equal(times.orderedAtMs, 1000);
  assert.equal(times.activeAtMs, 1050);
  assert.deepEqual(spans({ ...times, resumedAtMs: 1995 }), { totalMs: 1000, stoppedMs: 95 });
});

test('a stream that did not complete has no times', () => {
  assert.throws(
    () => streamTimes([migration('setup', 1), migration('active', 2), STOP]),
    /completed/,
  );
});

function record(at: number, event: SourceEvent): SourceRecord {
  return { v: 1, seq: 0, at, mono: at, event };
}
const planned = { type: 'planned' } as unknown as SourceEvent;
const did = (step: 'admit' | 'assess' | 'prepare'): SourceEvent => ({
  type: 'did',
  step,
  facts: {},
});

test('the parts of a start add up to the whole', () => {
  const { totalMs, ...parts } = startParts({
    spawnedAtMs: 1000,
    requestedAtMs: 1200,
    records: [
      record(1350, planned),
      record(1500, did('admit')),
      record(1550, did('assess')),
      record(1700, did('prepare')),
    ],
    orderedAtMs: 1720,
    firstByteAtMs: 1770,
  });
  assert.equal(totalMs, 770);
  assert.deepEqual(parts, {
    commandMs: 200,
    moversMs: 300,
    checksMs: 50,
    destinationMs: 150,
    armingMs: 20,
    connectingMs: 50,
  });
});

test('a journal without the steps before the stream is no start', () => {
  const times = { spawnedAtMs: 0, requestedAtMs: 1, orderedAtMs: 3, firstByteAtMs: 4 };
  assert.throws(() => startParts({ ...times, records: [] }), /plan/);
  assert.throws(() => startParts({ ...times, records: [record(2, planned)] }), /admit/);
});

test('each side goes first in turn, and each way in turn', () => {
  const sides = schedule(4);
  assert.equal(sides.filter((side) => side === 'hand').length, 4);
  const there = sides.filter((_, index) => index % 2 === 0);
  assert.equal(there.filter((side) => side === 'hand').length, 2);
});
