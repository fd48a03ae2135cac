import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { rolledUp, Rollups } from '../../../src/controller/inventory/rollups.ts';
import { HostSamples } from '../../../src/controller/inventory/samples.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
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
  test('samples become one point per minute, with the mean and the maximum of each measure', () => {
    const samples = new HostSamples();
    for (let at = 0; at < 7; at += 1) samples.add(60_000 + at * 10_000, load(at / 10));
    const [minute, ...others] = samples.points('minute');
    assert.deepEqual(others, []);
    assert.deepEqual([minute?.atMs, minute?.count], [60_000, 6]);
    assert.ok(Math.abs((minute?.mean[0] ?? 0) - 0.25) < 1e-6);
    assert.ok(Math.abs((minute?.most[0] ?? 0) - 0.5) < 1e-6);
  });

  test('samples are bounded, however many come, and each counts once in its minute', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30_000 }), { maxLength: 600 }), (steps) => {
        const samples = new HostSamples();
        let atMs = 0;
        for (const step of steps) {
          atMs += step;
          samples.add(atMs, load(0.5));
        }
        assert.ok(samples.points('sample').length <= 64 && samples.points('minute').length <= 130);
        const rolled = samples.unwritten(atMs + 7_200_000).filter(({ span }) => span === 'minute');
        if (rolled.length < 120) {
          const counted = rolled.reduce((sum, { point }) => sum + point.count, 0);
          assert.equal(counted, steps.length);
        }
        assert.equal(samples.received, steps.length);
      }),
      { numRuns: 30 },
    );
  });

  test("samples are written as one row for a shard's hosts once its lease is held, and are read by host", async (t) => {
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

  test('a closing controller writes the current minute and hour, and its successor adds the rest', async (t) => {
    const store = await openStore({ sqlite: ':memory:' }, silentLog);
    t.after(() => store.close());
    const lease = { shard: 3, owner: 'me', epoch: 9, lease_until: Date.now() + 60_000 };
    await store.db.insertInto('host_leases').values(lease).execute();
    const at = Math.floor(Date.now() / 3_600_000) * 3_600_000;
    const clock = { ...systemClock, wallMs: () => at + 59_000 };
    const held = new Map([[3, 9]]);
    const written = async (all: readonly [number, number][], ends = true): Promise<void> => {
      const samples = new HostSamples();
      for (const [afterMs, used] of all) samples.add(at + afterMs, load(used));
      if (ends) samples.end();
      const hosts = [{ host: 'a', shard: 3, samples }];
      await new Rollups(store, clock).write(held, hosts);
      assert.deepEqual(samples.unwritten(at), []);
    };
    const read = async (span: 'minute' | 'hour') => {
      const points = await rolledUp(store, { host: 'a', shard: 3 }, span);
      return points.map(({ atMs, count, mean, most }) => [atMs - at, count, mean[0], most[0]]);
    };
    await written([[0, 0.1]], false);
    assert.deepEqual(await read('minute'), []);
    const first = [
      [0, 0.75],
      [10_000, 0.25],
    ] as const;
    await written(first.map(([ms, used]) => [ms, used]));
    assert.deepEqual(await read('minute'), [[0, 2, 0.5, 0.75]]);
    // Its answer was lost, and it is written once more.
    await written(first.map(([ms, used]) => [ms, used]));
    assert.deepEqual(await read('hour'), [[0, 2, 0.5, 0.75]]);
    await written([
      [20_000, 0.875],
      [30_000, 0.875],
      [40_000, 0.25],
      [50_000, 0.75],
    ]);
    for (const span of ['minute', 'hour'] as const)
      assert.deepEqual(await read(span), [[0, 6, 0.625, 0.875]]);
  });

  test('readers see no gap while samples are written, and samples of a failed write are kept', async (t) => {
    const store = await openStore({ sqlite: ':memory:' }, silentLog);
    t.after(() => store.close());
    const lease = { shard: 3, owner: 'me', epoch: 9, lease_until: Date.now() + 60_000 };
    await store.db.insertInto('host_leases').values(lease).execute();
    const samples = new HostSamples();
    const at = Math.floor(Date.now() / 60_000) * 60_000 - 600_000;
    for (let turn = 0; turn < 30; turn += 1) samples.add(at + turn * 10_000, load(0.25));
    const moments = () => samples.points('minute').map(({ atMs }) => atMs);
    const written = async () => {
      const points = await rolledUp(store, { host: 'a', shard: 3 }, 'minute');
      return points.map(({ atMs }) => atMs);
    };
    const all = [0, 1, 2, 3, 4].map((minute) => at + minute * 60_000);
    const seen: number[][] = [];
    const looking: Store['transaction'] = async (work) => {
      seen.push(moments());
      // One that comes meanwhile.
      samples.add(at + 300_000, load(0.5));
      const answer = await store.transaction(work);
      seen.push(moments());
      return answer;
    };
    const hosts = [{ host: 'a', shard: 3, samples }];
    const plain: Store['transaction'] = (work) => store.transaction(work);
    const write = (transaction: Store['transaction'], epoch: number) =>
      new Rollups({ ...store, transaction }, systemClock).write(new Map([[3, epoch]]), hosts);
    await assert.rejects(write(() => Promise.reject(new Error('no database')), 9));
    // Another controller has the shard: nothing is written, and nothing is thrown away.
    await write(plain, 8);
    assert.deepEqual([moments(), await written()], [all, []]);
    await write(looking, 9);
    // Before and after the rows are written; what follows removes old rows.
    assert.deepEqual(seen.slice(0, 2), [all, all]);
    assert.deepEqual([moments(), await written()], [[], all]);
    // What came meanwhile is written with its own minute.
    await write(plain, 9);
    assert.equal((await written()).at(-1), at + 300_000);
  });
});
