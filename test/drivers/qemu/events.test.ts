import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { runOf, statusOf, streamEvent, streamOf } from '../../../src/drivers/qemu/events.ts';
import { sampleOf } from '../../../src/drivers/qemu/sample.ts';
import { memorySample } from '../../../src/protocol/public/migration.ts';

describe("QEMU's states in the port's terms", () => {
  test('a source has handed over once QEMU reports postmigrate, or post-copy runs', () => {
    assert.equal(runOf('postmigrate', 'completed', 'source'), 'handed-over');
    assert.equal(runOf('finish-migrate', 'postcopy-active', 'source'), 'handed-over');
    assert.equal(runOf('finish-migrate', 'completed', 'source'), 'handed-over');
    assert.equal(runOf('finish-migrate', 'pre-switchover', 'source'), 'paused');
  });

  test('a destination waits until its memory has come, and is then paused', () => {
    assert.equal(runOf('inmigrate', 'active', 'destination'), 'incoming');
    assert.equal(runOf('paused', 'postcopy-active', 'destination'), 'paused');
    assert.equal(runOf('running', 'postcopy-active', 'destination'), 'running');
  });

  test('a guest that arrived by migration does not start as completed', () => {
    assert.equal(statusOf('running', { status: 'completed' }, 'source').stream, 'none');
    assert.equal(statusOf('postmigrate', { status: 'completed' }, 'source').stream, 'completed');
    assert.equal(statusOf('running', { status: 'completed' }, 'destination').stream, 'completed');
  });

  test('states of later versions are known or ignored', () => {
    assert.equal(streamOf('postcopy-recover-setup'), 'postcopy-recovering');
    assert.equal(streamOf('cancelling'), 'active');
    assert.equal(streamOf('something-new'), 'none');
    assert.equal(streamEvent('none', ''), undefined);
    assert.deepEqual(streamEvent('failed', 'why'), { type: 'failed', reason: 'why' });
  });
});

describe("QEMU's report of the stream", () => {
  test("QEMU's report becomes a sample that the protocol accepts, whatever the numbers", () => {
    const number = fc.double({ min: 0, max: 1e15, noNaN: true });
    const ram = fc.record({
      transferred: number,
      remaining: number,
      total: number,
      duplicate: fc.double({ min: 0, max: 1e9, noNaN: true }),
      skipped: fc.constant(0),
      normal: fc.option(fc.double({ min: 0, max: 1e12, noNaN: true }), { nil: undefined }),
      mbps: fc.double({ min: -1, max: 1e6, noNaN: true }),
      'dirty-pages-rate': fc.double({ min: 0, max: 1e9, noNaN: true }),
      'dirty-sync-count': fc.nat(),
      'page-size': fc.constant(4096),
      'postcopy-requests': fc.nat(),
    });
    fc.assert(
      fc.property(ram, (each) => {
        memorySample.parse(sampleOf({ status: 'active', ram: each, 'total-time': 5 }, 0));
      }),
    );
  });

  test('the sample counts the transmitted pages before their compression', () => {
    const ram = { transferred: 1000, remaining: 0, total: 1 << 20, duplicate: 3, skipped: 0 };
    const counts = { 'dirty-pages-rate': 0, 'dirty-sync-count': 1, 'postcopy-requests': 0 };
    const all = { ...ram, ...counts, mbps: 0, 'page-size': 4096 };
    const content = (normal?: number) =>
      sampleOf({ status: 'active', ram: { ...all, normal } }, 0).contentBytes;
    assert.equal(content(10), 40_960);
    assert.equal(content(), undefined);
  });

  test('the sample has a downtime at the end, and an expectation before', () => {
    const active = sampleOf({ status: 'active', 'expected-downtime': 300, downtime: 1 }, 4096);
    assert.equal(active.expectedDowntimeMs, 300);
    assert.equal(active.downtimeMs, undefined);
    assert.equal(active.totalBytes, 4096);
    const done = sampleOf({ status: 'completed', 'expected-downtime': 300, downtime: 7 }, 4096);
    assert.equal(done.downtimeMs, 7);
    assert.equal(done.expectedDowntimeMs, undefined);
  });
});
