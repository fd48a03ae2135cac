import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  figuresOfEnded,
  isMigrating,
  markedSight,
  runningSight,
} from '../../../src/drivers/libvirt/job.ts';
import { isPostCopyDue, migrateCall, outcomeOf } from '../../../src/drivers/libvirt/task.ts';
import { LibvirtRefusal } from '../../../src/drivers/libvirt/rpc/connection.ts';
import { taskSight } from '../../../src/migration/managed/task-sight.ts';
import { ORDER } from './support/order.ts';

const PLAIN = { isPersistent: false, tls: false, sockets: '/run/sockets' } as const;

describe("libvirt's job", () => {
  test('a migration is distinguished from a snapshot, a backup and no job', () => {
    assert.equal(isMigrating({ type: 2, params: { operation: 5 } }), true);
    assert.equal(isMigrating({ type: 2, params: { operation: 4 } }), true);
    assert.equal(isMigrating({ type: 1, params: {} }), true, 'a libvirt that names no operation');
    assert.equal(isMigrating({ type: 2, params: { operation: 6 } }), false);
    assert.equal(isMigrating({ type: 0, params: {} }), false);
    assert.equal(isMigrating({ type: 3, params: { operation: 5 } }), false);
  });

  test('an uncounted figure is absent, and never 0', () => {
    assert.deepEqual(runningSight({ type: 2, params: {} }), { state: 'running', figures: {} });
    const params = {
      memory_total: 100,
      memory_remaining: 25,
      data_processed: 9,
      memory_iteration: 2,
    };
    const sight = runningSight({ type: 2, params });
    assert.deepEqual(sight, {
      state: 'running',
      percent: 75,
      figures: { sentBytes: 9, rounds: 2 },
    });
    assert.deepEqual(taskSight.parse(sight), sight);
    const odd = runningSight({ type: 2, params: { memory_total: 0, data_processed: -1 } });
    assert.deepEqual(odd, { state: 'running', figures: {} });
  });

  test('the transfer is known once libvirt counts rounds, in bytes if it counts pages', () => {
    const params = {
      memory_total: 1000,
      memory_remaining: 400,
      memory_processed: 700,
      memory_constant: 2,
      memory_page_size: 4096,
      memory_dirty_rate: 3,
      memory_bps: 5000,
      memory_iteration: 2,
      downtime: 120,
      time_elapsed: 900,
      auto_converge_throttle: 40,
    };
    const sight = runningSight({ type: 2, params });
    assert.ok(sight.state === 'running');
    assert.deepEqual(sight.memory, {
      totalBytes: 1000,
      remainingBytes: 400,
      transferredBytes: 700,
      skippedBytes: 8192,
      dirtyRate: 12_288,
      rate: 5000,
      round: 2,
      expectedDowntimeMs: 120,
      totalMs: 900,
      pageRequests: 0,
      throttlePercent: 40,
    });
    assert.deepEqual(taskSight.parse(sight), sight);
    const { memory_iteration: _, ...uncounted } = params;
    const early = runningSight({ type: 2, params: uncounted });
    assert.equal('memory' in early, false);
  });

  test("the job of an ended migration has the guest's pause", () => {
    const params = { operation: 4, downtime: 62, data_processed: 5, memory_postcopy_requests: 0 };
    assert.deepEqual(figuresOfEnded({ type: 3, params }, 'precopy'), {
      sentBytes: 5,
      pageRequests: 0,
      downtimeMs: 62,
      finished: 'precopy',
    });
    assert.equal(figuresOfEnded({ type: 3, params }, 'hybrid')?.finished, undefined);
    const postcopy = figuresOfEnded(
      {
        type: 3,
        params: { ...params, memory_postcopy_requests: 4 },
      },
      'postcopy',
    );
    assert.equal(postcopy?.finished, 'postcopy');
    assert.equal(figuresOfEnded({ type: 3, params: { operation: 1 } }, 'precopy'), undefined);
    assert.equal(figuresOfEnded(undefined, 'precopy'), undefined);
  });

  test('a mark shows the end of a task that moved nothing', () => {
    const words = { autostart: 'no', persistent: 'yes', defined: 'no' } as const;
    const mark = { id: 'm-00000001', reason: 'no room', ...words } as const;
    assert.deepEqual(markedSight({ ...mark, state: 'failed' }), {
      state: 'failed',
      reason: 'no room',
    });
    assert.deepEqual(markedSight({ ...mark, state: 'cancelled' }), { state: 'cancelled' });
    assert.deepEqual(markedSight({ ...mark, state: 'sent' }), { state: 'none' });
  });

  test("the order consists of libvirt's flags and parameters", () => {
    const plain = migrateCall(ORDER, PLAIN);
    assert.deepEqual(plain, { params: {}, flags: 3 });
    const full = migrateCall(
      { ...ORDER, maxBandwidth: 3 * 1024 ** 2, streams: 4, compress: 'xbzrle' },
      { ...PLAIN, isPersistent: true, tls: true, migrateUri: 'tcp://b' },
    );
    assert.equal(full.flags, 1 | 2 | 8 | 16 | 2048 | 65_536 | 131_072);
    assert.deepEqual(full.params, {
      migrate_uri: 'tcp://b',
      bandwidth: 3n,
      'parallel.connections': 4,
      compression: 'xbzrle',
    });
    const zstd = migrateCall({ ...ORDER, compress: 'zstd' }, PLAIN);
    assert.equal(zstd.flags, 1 | 2 | 2048 | 131_072);
    assert.deepEqual(zstd.params, { 'parallel.connections': 1, compression: 'zstd' });
    const postCopy = migrateCall({ ...ORDER, mode: 'hybrid' }, PLAIN);
    assert.equal(postCopy.flags, 1 | 2 | 32_768);
    const capped = migrateCall({ ...ORDER, mode: 'postcopy', maxBandwidth: 5 * 1024 ** 2 }, PLAIN);
    assert.deepEqual(capped.params, { bandwidth: 5n, 'bandwidth.postcopy': 5n });
    // 0 would be no limit at all.
    const least = migrateCall({ ...ORDER, maxBandwidth: 1 }, PLAIN);
    assert.equal(least.params['bandwidth'], 1n);
  });

  test('an order by the wire names a socket of this migration, and leaves TLS to the wire', () => {
    const facts = { ...PLAIN, tls: true, migrateUri: 'tcp://b' };
    const { params, flags } = migrateCall({ ...ORDER, wire: true }, facts);
    assert.deepEqual(params, {
      migrate_uri: `unix:///run/sockets/godwit-${ORDER.id}-${ORDER.from}.sock`,
    });
    assert.equal(flags, 1 | 2);
  });

  test('an order by the wire names a socket for the disks that are copied', () => {
    const copied = { name: 'vda', file: '/i/x', format: 'raw', sizeBytes: 1, place: 'i' };
    const order = { ...ORDER, copies: [copied] };
    const { params, flags } = migrateCall({ ...order, wire: true }, PLAIN);
    assert.equal(params['disks_uri'], `unix:///run/sockets/godwit-${ORDER.id}-${ORDER.from}.nbd`);
    assert.equal(flags, 1 | 2 | 64);
    assert.equal('disks_uri' in migrateCall(order, PLAIN).params, false);
  });

  test('an order may let QEMU slow the guest down by itself', () => {
    const { params, flags } = migrateCall(
      { ...ORDER, throttle: { initial: 20, increment: 10 } },
      PLAIN,
    );
    assert.deepEqual(params, { 'auto_converge.initial': 20, 'auto_converge.increment': 10 });
    assert.equal(flags, 1 | 2 | 8192);
  });

  test('post-copy is due at once, after one pass, or never; and never if Godwit decides the time', () => {
    assert.equal(isPostCopyDue({ mode: 'hybrid', steered: true }, 9), false);
    const due = (mode: 'precopy' | 'postcopy' | 'hybrid') =>
      [0, 1, 2, 3].map((rounds) => isPostCopyDue({ mode }, rounds));
    assert.deepEqual(due('precopy'), [false, false, false, false]);
    assert.deepEqual(due('postcopy'), [false, true, true, true]);
    assert.deepEqual(due('hybrid'), [false, false, true, true]);
  });

  test("the result of the call is libvirt's answer, and a broken connection is not one", () => {
    const refusal = (code: number) => new LibvirtRefusal({ code, domain: 10, message: 'why' });
    const [cancelled, failed] = [refusal(78), refusal(9)];
    assert.deepEqual(outcomeOf(cancelled), { state: 'cancelled', reason: 'why', cause: cancelled });
    assert.deepEqual(outcomeOf(failed), { state: 'failed', reason: 'why', cause: failed });
    assert.deepEqual(outcomeOf(new Error('it closed the connection')), { state: 'unheard' });
  });
});
