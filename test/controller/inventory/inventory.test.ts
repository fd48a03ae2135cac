import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import { issue } from '../../../src/pki/authority.ts';
import { systemClock } from '../../../src/clock.ts';
import type { NewHost } from '../../../src/controller/inventory/write-queue.ts';
import { Inventory } from '../../../src/controller/inventory/inventory.ts';
import { rolledUp } from '../../../src/controller/inventory/rollups.ts';
import { shardOf, SHARDS } from '../../../src/controller/inventory/shards.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { silentLog } from '../../../src/log.ts';
import type { FleetNews } from '../../../src/protocol/controller/events.ts';
import { hasCode } from '../../../src/errors.ts';
import { fleet, guest } from '../../agent/samples.ts';
import type { Credentials } from '../../../src/rpc/tls.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { until } from '../../until.ts';
import { controllerOf } from '../test-controller.ts';
import { HOST } from './hosts.ts';

test('a controller follows the hosts of its fleet, and reports silent ones with the time', async (t) => {
  const { host, caDir } = await fleet(t);
  const ofA = [guest('web1'), guest('web2')];
  const a = await host('a', { guests: () => ofA });
  const b = await host('b', { guests: () => [guest('db1', { host: 'b', uuid: 'u-1' })] });
  const { api } = await controllerOf(t, caDir, {
    hosts: {
      a: { address: a.agent.address, addresses: [] },
      b: { address: b.agent.address, addresses: [] },
      never: { address: '127.0.0.1:1', addresses: [] },
    },
  });
  const states = async (): Promise<string> => {
    const { hosts } = await api.hosts();
    return hosts.map(({ name, state, guests }) => `${name} ${state} ${guests}`).join(', ');
  };
  await until('the hosts to be followed', 20_000, async () =>
    (await states()) === 'a up 2, b up 1, never silent 0' ? true : undefined,
  );
  const { info, followedBy } = await api.host({ params: { host: 'a' } });
  assert.deepEqual([info?.name, followedBy], ['a', 'control']);
  await assert.rejects(api.host({ params: { host: 'zz' } }), (thrown) =>
    hasCode(thrown, 'GODWIT_HOST_UNKNOWN'),
  );

  const seen: FleetNews[] = [];
  const stop = new AbortController();
  t.after(() => stop.abort());
  const following = (async () => {
    for await (const event of api.events({}, { signal: stop.signal })) seen.push(event);
  })().catch(() => {});
  await until('the stream to begin', 5000, async () => (seen.length > 0 ? true : undefined));
  ofA.pop();
  await until('the guest to be gone', 20_000, async () => {
    const { guests } = await api.guests();
    return guests.map(({ name }) => name).join() === 'db1,web1' ? true : undefined;
  });
  assert.ok(seen.some((each) => each.type === 'guest-gone' && each.name === 'web2'));

  const before = Date.now();
  await b.agent.close();
  await until('b to be silent', 30_000, async () =>
    /b silent 1/.test(await states()) ? true : undefined,
  );
  const { guests } = await api.guests({ query: { host: 'b' } });
  // What it reported last stands, and is marked as such: nothing is guessed.
  assert.deepEqual(
    guests.map(({ name, state, hostState }) => [name, state, hostState]),
    [['db1', 'running', 'silent']],
  );
  const since = Date.parse(guests[0]!.hostSince);
  assert.ok(since <= Date.now() && since > before - 20_000, guests[0]!.hostSince);
  stop.abort();
  await following;
});

test('hosts that are off delay no other: an answering host is followed while a hundred others are waited for', async (t) => {
  const { host, caDir } = await fleet(t);
  const off = Array.from({ length: 100 }, (_none, index) => `a${index}`);
  const live = await host('z', { guests: () => [guest('db1', { host: 'z' })] });
  const address = (name: string) => (name === 'z' ? live.agent.address : `${name}.invalid:1`);
  const peers = Object.fromEntries(
    [...off, 'z'].map((name) => [name, { address: address(name), addresses: [] }]),
  );
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  const asked = new Set<string>();
  const inventory = new Inventory({
    store,
    fleet: { peers: () => peers },
    credentials: await issue({ caDir, name: 'control', role: 'controller', addresses: [] }),
    clock: systemClock,
    log: silentLog,
    owner: { id: 'one', name: 'one' },
    knock: async (called, _timeoutMs, signal) => {
      asked.add(called);
      if (called !== live.agent.address)
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      signal.throwIfAborted();
      return { what: 'answer', said: '' };
    },
  });
  t.after(() => store.close());
  t.after(() => inventory.close());
  inventory.start();
  await until('the host to be followed', 20_000, async () =>
    inventory.up().some(({ name }) => name === 'z') ? true : undefined,
  );
  assert.equal(asked.size, 101);
});

test('a page of hosts ends with a cursor, and the next one continues from there', async (t) => {
  const { caDir } = await fleet(t);
  const names = ['h1', 'h2', 'h3', 'h4', 'h5'];
  const hosts = Object.fromEntries(
    names.map((name) => [name, { address: '127.0.0.1:1', addresses: [] }]),
  );
  const { api } = await controllerOf(t, caDir, { hosts });
  await until('the rows', 10_000, async () =>
    (await api.hosts()).hosts.length === 5 ? true : undefined,
  );
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await api.hosts({ query: { limit: 2, cursor } });
    seen.push(...page.hosts.map(({ name }) => name));
    cursor = page.next;
  } while (cursor !== undefined);
  assert.deepEqual(seen, names);
  await assert.rejects(api.hosts({ query: { cursor: 'nonsense' } }), (thrown) =>
    hasCode(thrown, 'GODWIT_PROTOCOL_INVALID'),
  );
});

async function written(file: string, given: Partial<NewHost> = {}): Promise<Store> {
  const store = await openStore({ sqlite: file }, silentLog);
  const row = { ...HOST, ...given, epoch: 1, changed_at: Date.now() };
  await store.db.insertInto('hosts').values(row).execute();
  return store;
}

test('a host that was up under an earlier controller is unfollowed until it reports', async (t) => {
  const { caDir } = await fleet(t);
  const mute = createServer(() => {}).listen(0, '127.0.0.1');
  t.after(() => mute.close());
  await once(mute, 'listening');
  const sqlite = path.join(tempDir(t), 'controller.db');
  await (await written(sqlite)).close();
  const address = `127.0.0.1:${(mute.address() as AddressInfo).port}`;
  const hosts = { a: { address, addresses: [] } };
  const { api } = await controllerOf(t, caDir, { hosts, database: { sqlite } });
  const host = await until('the row to be written anew', 10_000, async () => {
    const [first] = (await api.hosts()).hosts;
    return first?.address === address ? first : undefined;
  });
  assert.equal(host.state, 'unfollowed');
});

test('a host that was put to sleep is asleep in lists, events and metrics, even after a restart, until it fails to wake', async (t) => {
  const { caDir } = await fleet(t);
  const sqlite = path.join(tempDir(t), 'controller.db');
  const store = await written(sqlite, { state: 'silent' });
  t.after(() => store.close());
  const setPower = (state: string, since: number) =>
    store.db
      .insertInto('host_power')
      .values({ host: 'a', state, since })
      .onConflict((conflict) => conflict.column('host').doUpdateSet({ state, since }))
      .execute();
  await setPower('asleep', Date.now() - 3_600_000);
  const hosts = { a: { address: '127.0.0.1:1', addresses: [] } };
  for (const run of ['the first controller', 'its successor'])
    await t.test(run, async (part) => {
      const { api } = await controllerOf(part, caDir, { hosts, database: { sqlite } });
      const before = (await store.db.selectFrom('hosts').select('epoch').executeTakeFirst())?.epoch;
      await until('the follower to be refused', 20_000, async () => {
        const row = await store.db.selectFrom('hosts').selectAll().executeTakeFirst();
        return row?.state === 'silent' && row.epoch > (before ?? 0) ? true : undefined;
      });
      const [host] = (await api.hosts({ query: { state: 'asleep' } })).hosts;
      assert.match(host?.reason ?? '', /put to sleep/);
      assert.deepEqual((await api.hosts({ query: { state: 'silent' } })).hosts, []);
      assert.equal((await api.overview()).hosts[0]?.[1], 'asleep');
      assert.match(await api.metrics(), /godwit_hosts{state="asleep"} 1/);
    });
  const { api } = await controllerOf(t, caDir, { hosts, database: { sqlite } });
  const states = api.events({}, { signal: AbortSignal.timeout(20_000) });
  await states[Symbol.asyncIterator]().next();
  await setPower('waking', 1);
  for await (const event of states)
    if (event.type === 'host' && /asked to wake/.test(event.host.reason ?? '')) {
      assert.equal(event.host.state, 'silent');
      break;
    }
  // This controller has only begun to follow it: until it has tried, it may call the host something else for a moment.
  const late = await until('the list to say it, too', 20_000, async () => {
    return (await api.hosts({ query: { state: 'silent' } })).hosts[0];
  });
  assert.match(late.reason ?? '', /asked to wake at 1970/);
});

test('a host that left the fleet is forgotten only under a valid lease', async () => {
  for (const isTaken of [false, true]) {
    const store = await written(':memory:', { name: 'gone', shard: shardOf('gone') });
    // Another controller takes the shards between the turn of the leases and the deletion.
    let count = 0;
    const transaction: Store['transaction'] = async (work) => {
      const answer = await store.transaction(work);
      count += 1;
      if (isTaken && count === 1)
        await store.db
          .updateTable('host_leases')
          .set({ epoch: sql<number>`epoch + 1000` })
          .execute();
      return answer;
    };
    const inventory = new Inventory({
      store: { ...store, transaction },
      fleet: { peers: () => ({}) },
      credentials: {} as Credentials,
      clock: systemClock,
      log: silentLog,
      owner: { id: 'one', name: 'one' },
    });
    const reported = inventory.events.follow(undefined, AbortSignal.timeout(20_000));
    await reported.next();
    inventory.start();
    await until('the turn', 10_000, async () => (count >= 2 ? true : undefined));
    const next = isTaken ? undefined : (await reported.next()).value;
    await inventory.close();
    const rows = await store.db.selectFrom('hosts').select('name').execute();
    await store.close();
    assert.equal(rows.length, isTaken ? 1 : 0);
    assert.equal(next?.type, isTaken ? undefined : 'host-gone');
  }
});

test('a controller that closes leaves the samples of the current minute', async (t) => {
  const { host, caDir } = await fleet(t);
  const a = await host('a');
  const sqlite = path.join(tempDir(t), 'controller.db');
  const hosts = { a: { address: a.agent.address, addresses: [] } };
  let samples = 0;
  await t.test('which it has in memory', async (part) => {
    const { api } = await controllerOf(part, caDir, { hosts, database: { sqlite } });
    samples = await until(
      'a sample',
      30_000,
      async () => (await api.figures()).samples || undefined,
    );
  });
  const store = await openStore({ sqlite }, silentLog);
  t.after(() => store.close());
  const written = await rolledUp(store, { host: 'a', shard: shardOf('a') }, 'hour');
  assert.ok(written.reduce((sum, { count }) => sum + count, 0) >= samples);
});

test('a shard that is lost and taken again loses no samples of its hosts', async (t) => {
  const { host, caDir } = await fleet(t);
  const a = await host('a');
  const sqlite = path.join(tempDir(t), 'controller.db');
  const hosts = { a: { address: a.agent.address, addresses: [] } };
  const { api } = await controllerOf(t, caDir, { hosts, database: { sqlite } });
  const oldest = async (): Promise<string | undefined> => {
    const query = { span: 'sample' } as const;
    return (await api.samples({ params: { host: 'a' }, query })).points[0]?.at;
  };
  await until('the row', 10_000, async () => (await api.hosts()).hosts[0]);
  const before = await until('a sample', 30_000, oldest);
  const store = await openStore({ sqlite }, silentLog);
  t.after(() => store.close());
  // As by another controller that took them and died.
  await store.db.updateTable('host_leases').set({ owner: 'other', lease_until: 1 }).execute();
  await until('the leases to be taken again', 10_000, async () => {
    const row = store.db
      .selectFrom('host_leases')
      .select('epoch')
      .where('shard', '=', shardOf('a'));
    return ((await row.executeTakeFirst())?.epoch ?? 0) > SHARDS ? true : undefined;
  });
  await until('the host to be followed again', 10_000, async () =>
    (await api.hosts()).hosts[0]?.state === 'up' && (await api.figures()).followed === 1
      ? true
      : undefined,
  );
  assert.equal(await oldest(), before);
});
