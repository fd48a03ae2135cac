import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { rolledUp, Rollups } from '../../../src/controller/inventory/rollups.ts';
import { HostSamples } from '../../../src/controller/inventory/samples.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { systemClock } from '../../../src/clock.ts';
import { silentLog } from '../../../src/log.ts';

const load = (used: number) => ({
  at: '2026-11-23T06:00:00.000Z',
  overMs: 10_000,
  processor: { cores: 4, used, steal: 0 },
  memory: { totalBytes: 8 * 1024 ** 3, availableBytes: 4 * 1024 ** 3, swapUsedBytes: 0 },
  network: { inBytesPerS: 100, outBytesPerS: 200 },
  disk: { readBytesPerS: 0, writeBytesPerS: 0 },
  guests: [],
});

describe('the samples of a host', () => {
  test('become one point a minute, with the mean and the most of each measure', () => {
    const samples = new HostSamples();
    for (let at = 0; at < 7; at += 1) samples.add(60_000 + at * 10_000, load(at / 10));
    const [minute, ...others] = samples.points('minute');
    assert.deepEqual(others, []);
    assert.deepEqual([minute?.atMs, minute?.count], [60_000, 6]);
    assert.ok(Math.abs((minute?.mean[0] ?? 0) - 0.25) < 1e-6);
    assert.ok(Math.abs((minute?.most[0] ?? 0) - 0.5) < 1e-6);
  });

  test('are bounded, however many come, and none of a minute is counted twice', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30_000 }), { maxLength: 600 }), (steps) => {
        const samples = new HostSamples();
        let atMs = 0;
        for (const step of steps) {
          atMs += step;
          samples.add(atMs, load(0.5));
        }
        assert.ok(samples.points('sample').length <= 64 && samples.points('minute').length <= 130);
        const rolled = samples.take(atMs + 7_200_000).filter(({ span }) => span === 'minute');
        if (rolled.length < 120) {
          const counted = rolled.reduce((sum, { point }) => sum + point.count, 0);
          assert.equal(counted, steps.length);
        }
        assert.equal(samples.received, steps.length);
      }),
      { numRuns: 30 },
    );
  });

  test('are written as one row for all hosts of a shard once its lease is held, and read back by host', async (t) => {
    const store = await openStore({ sqlite: ':memory:' }, silentLog);
    t.after(() => store.close());
    await store.db
      .insertInto('host_leases')
      .values({ shard: 3, owner: 'me', epoch: 9, lease_until: Date.now() + 60_000 })
      .execute();
    const hosts = ['a', 'b'].map((host) => ({ host, shard: 3, samples: new HostSamples() }));
    const at = Date.now() - 600_000;
    for (const { samples } of hosts)
      for (let turn = 0; turn < 30; turn += 1) samples.add(at + turn * 10_000, load(0.25));
    const rollups = new Rollups(store, systemClock);
    await rollups.write(new Map(), hosts);
    await rollups.write(new Map([[3, 9]]), hosts);
    const rows = await store.db
      .selectFrom('rollups')
      .selectAll()
      .where('span', '=', 'minute')
      .execute();
    const points = await rolledUp(store, { host: 'b', shard: 3 }, 'minute');
    assert.ok(rows.length >= 5 && rows.length <= 6, `${rows.length} rows`);
    assert.equal(points.length, rows.length);
    assert.equal(points[1]?.count, 6);
    assert.equal(points[1]?.mean[0], 0.25);
    assert.deepEqual(await rolledUp(store, { host: 'c', shard: 3 }, 'minute'), []);
  });
});
