import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { sql } from 'kysely';
import { systemClock } from '../../../src/clock.ts';
import { OverviewReader } from '../../../src/controller/api/overview.ts';
import { readHosts } from '../../../src/controller/api/reads.ts';
import { WriteQueue } from '../../../src/controller/inventory/write-queue.ts';
import type { Inventory } from '../../../src/controller/inventory/inventory.ts';
import { HostLeases, LEASE_MS } from '../../../src/controller/inventory/leases.ts';
import { fairShare, shardOf, SHARDS } from '../../../src/controller/inventory/shards.ts';
import { fleetSnapshot } from '../../../src/controller/inventory/snapshot.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { silentLog } from '../../../src/log.ts';
import { HOST } from './hosts.ts';

async function storeOf(t: TestContext): Promise<Store> {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  return store;
}

const leasesOf = (store: Store, id: string) => new HostLeases(store, { id, name: id }, silentLog);
const expire = (store: Store, owner: string) =>
  store.db.updateTable('host_leases').set({ lease_until: 1 }).where('owner', '=', owner).execute();

describe('the leases of hosts', () => {
  test('the only controller has all leases, and shares them with a second one', async (t) => {
    const store = await storeOf(t);
    const [one, two] = [leasesOf(store, 'one'), leasesOf(store, 'two')];
    assert.equal((await one.turn()).size, SHARDS);
    assert.equal((await two.turn()).size, 0);
    await one.turn();
    await two.turn();
    assert.deepEqual([one.held.size, two.held.size], [fairShare(2), fairShare(2)]);
    const all = new Set([...one.held.keys(), ...two.held.keys()]);
    assert.equal(all.size, SHARDS);
  });

  test('the leases of a dead controller are taken by another, each with a new epoch', async (t) => {
    const store = await storeOf(t);
    const [one, two] = [leasesOf(store, 'one'), leasesOf(store, 'two')];
    const before = Math.max(...(await one.turn()).values());
    await one.release();
    const after = await two.turn();
    assert.equal(after.size, SHARDS);
    assert.ok([...after.values()].every((epoch) => epoch > before));
    assert.equal(new Set(after.values()).size, SHARDS);
  });

  test('a lease that another controller took after it was seen free stays with that controller', async (t) => {
    const store = await storeOf(t);
    const other = { owner: 'other', epoch: 0, lease_until: Date.now() + LEASE_MS };
    // Between the look for free shards and the taking of the first of them.
    await sql`create trigger other after update on counters begin
      insert or ignore into host_leases (shard, owner, epoch, lease_until)
      values (0, ${sql.lit(other.owner)}, ${sql.lit(other.epoch)}, ${sql.lit(other.lease_until)});
    end`.execute(store.db);
    const held = await leasesOf(store, 'one').turn();
    assert.equal(held.has(0), false);
    assert.equal(held.size, SHARDS - 1);
    const row = store.db.selectFrom('host_leases').selectAll().where('shard', '=', 0);
    assert.deepEqual({ ...(await row.executeTakeFirst()) }, { shard: 0, ...other });
  });

  test('an expired lease that was not taken since is renewed under its epoch', async (t) => {
    const store = await storeOf(t);
    const one = leasesOf(store, 'one');
    const before = await one.turn();
    await expire(store, 'one');
    assert.deepEqual(await one.turn(), before);
    const rows = await store.db.selectFrom('host_leases').select('lease_until').execute();
    assert.ok(rows.every((row) => row.lease_until > Date.now()));
  });

  test('an expired lease that was taken is not renewed, even once the other controller is gone', async (t) => {
    const store = await storeOf(t);
    const [one, two] = [leasesOf(store, 'one'), leasesOf(store, 'two')];
    const before = await one.turn();
    await expire(store, 'one');
    await store.db.deleteFrom('controllers').execute();
    const between = await two.turn();
    assert.equal((await one.turn()).size, 0);
    await two.release();
    const after = await one.turn();
    assert.equal(after.size, SHARDS);
    assert.ok([...after].every(([shard, epoch]) => epoch > (between.get(shard) ?? 0)));
    assert.ok([...between].every(([shard, epoch]) => epoch > (before.get(shard) ?? 0)));
  });

  test('a lease that was given up to another controller is not renewed', async (t) => {
    const store = await storeOf(t);
    const [one, two] = [leasesOf(store, 'one'), leasesOf(store, 'two')];
    await one.turn();
    await two.turn();
    const kept = await one.turn();
    assert.deepEqual(await one.turn(), kept);
    assert.equal(kept.size, fairShare(2));
  });

  test("an expired lease still permits writing the hosts' reports until another controller takes it", async (t) => {
    const store = await storeOf(t);
    const one = leasesOf(store, 'one');
    const held = await one.turn();
    await expire(store, 'one');
    const book = new WriteQueue(store, () => HOST);
    book.add('a', { row: true });
    await book.flush(held);
    const rows = await store.db.selectFrom('hosts').select('name').execute();
    assert.equal(rows.length, 1);
  });

  test("the leases of a dead controller are taken even if the database's clock was set back since", async (t) => {
    const store = await storeOf(t);
    const dead = leasesOf(store, 'dead');
    await dead.turn();
    const hours = 3 * 3_600_000;
    const ahead = Date.now() + hours;
    await store.db.updateTable('host_leases').set({ lease_until: ahead }).execute();
    await store.db.updateTable('controllers').set({ alive_until: ahead }).execute();
    const one = leasesOf(store, 'one');
    assert.equal((await one.turn()).size, 0);
    // From now on they hold for one lease and no longer.
    const within = store.db.selectFrom('host_leases').select('lease_until');
    const rows = await within.where('lease_until', '<=', Date.now() + LEASE_MS).execute();
    assert.equal(rows.length, SHARDS);
    await expire(store, 'dead');
    await store.db.updateTable('controllers').set({ alive_until: 1 }).execute();
    assert.equal((await one.turn()).size, SHARDS);
  });

  test("a living controller keeps its leases when the database's clock is set back", async (t) => {
    for (const backMs of [1000, LEASE_MS, 3 * LEASE_MS, 3_600_000]) {
      const store = await storeOf(t);
      const [one, two] = [leasesOf(store, 'one'), leasesOf(store, 'two')];
      await one.turn();
      await two.turn();
      await one.turn();
      const before = [await one.turn(), await two.turn()];
      const later = sql<number>`lease_until + ${sql.lit(backMs)}`;
      await store.db.updateTable('host_leases').set({ lease_until: later }).execute();
      const alive = sql<number>`alive_until + ${sql.lit(backMs)}`;
      await store.db.updateTable('controllers').set({ alive_until: alive }).execute();
      assert.deepEqual([await one.turn(), await two.turn()], before, `set back by ${backMs} ms`);
      assert.deepEqual([await one.turn(), await two.turn()], before, `set back by ${backMs} ms`);
    }
  });

  test('a controller that is gone for good loses its row and its count, even if the clock was set back since', async (t) => {
    const store = await storeOf(t);
    await leasesOf(store, 'gone').turn();
    await leasesOf(store, 'gone too').turn();
    const year = 365 * 24 * 3_600_000;
    await store.db
      .updateTable('controllers')
      .set({ alive_until: Date.now() + year })
      .execute();
    const one = leasesOf(store, 'one');
    await one.turn();
    const names = async (): Promise<string[]> => {
      const rows = await store.db.selectFrom('controllers').select('name').execute();
      return rows.map(({ name }) => name).toSorted();
    };
    assert.deepEqual(await names(), ['gone', 'gone too', 'one']);
    // As 15 minutes later.
    const earlier = sql<number>`alive_until - 900000`;
    await store.db.updateTable('controllers').set({ alive_until: earlier }).execute();
    await one.turn();
    assert.deepEqual(await names(), ['one']);
  });

  test('a controller with an expired lease changes no row after it was stopped meanwhile', async (t) => {
    const store = await storeOf(t);
    const [stopped, other] = [leasesOf(store, 'stopped'), leasesOf(store, 'other')];
    const stale = await stopped.turn();
    const write = async (held: ReadonlyMap<number, number>, reason: string) => {
      const book = new WriteQueue(store, () => ({ ...HOST, reason }));
      book.add('a', { row: true });
      await book.flush(held);
      const row = await store.db.selectFrom('hosts').select('reason').executeTakeFirst();
      return row?.reason;
    };
    assert.equal(await write(stale, 'first'), 'first');
    await expire(store, 'stopped');
    await store.db.deleteFrom('controllers').execute();
    const held = await other.turn();
    assert.equal(await write(held, 'other'), 'other');
    assert.equal(await write(stale, 'stale'), 'other');
  });

  test("a taken lease leaves nothing of the previous controller's hosts until the new one reports", async (t) => {
    const store = await storeOf(t);
    const [dead, next] = [leasesOf(store, 'dead'), leasesOf(store, 'next')];
    const write = async (held: ReadonlyMap<number, number>): Promise<void> => {
      const book = new WriteQueue(store, () => HOST);
      book.add('a', { row: true });
      await book.flush(held);
    };
    const inventory = { samplesOf: () => undefined } as unknown as Inventory;
    const parts = { store, inventory, config: {} };
    const states = async (): Promise<unknown[]> => {
      const { hosts } = await readHosts(parts, {
        query: { limit: 10 },
      } as Parameters<typeof readHosts>[1]);
      const { bytes } = await new OverviewReader(parts, systemClock).read();
      const { hosts: all } = JSON.parse(bytes.toString()) as { hosts: unknown[][] };
      const ofOverview = all[0]?.[1];
      const [planned] = (await fleetSnapshot(store)).hosts;
      return [hosts[0]?.state, hosts[0]?.followedBy, ofOverview, planned?.state];
    };
    await write(await dead.turn());
    assert.deepEqual(await states(), ['up', 'dead', 'up', 'up']);
    await expire(store, 'dead');
    await store.db.deleteFrom('controllers').execute();
    const held = await next.turn();
    const nobody = ['unfollowed', undefined, 'unfollowed', 'unfollowed'];
    assert.deepEqual(await states(), nobody);
    await write(held);
    assert.deepEqual(await states(), ['up', 'next', 'up', 'up']);
  });

  test('every host has a shard, and every shard has hosts', () => {
    const counts = new Map<number, number>();
    for (let at = 0; at < 10_000; at += 1) {
      const shard = shardOf(`host-${at}`);
      counts.set(shard, (counts.get(shard) ?? 0) + 1);
    }
    assert.equal(counts.size, SHARDS);
    assert.ok([...counts.values()].every((count) => count > 80 && count < 260));
  });
});
