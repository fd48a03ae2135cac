import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Clock } from '../../../src/clock.ts';
import { controllerConfig } from '../../../src/controller/config.ts';
import { HealthWatch } from '../../../src/controller/health/watch.ts';
import { shardOf } from '../../../src/controller/inventory/shards.ts';
import { illHosts, setMaintenance } from '../../../src/controller/store/health.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { Requests } from '../../../src/controller/store/requests.ts';
import { hasCode } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { newRequest, requestAsk } from '../../../src/protocol/controller/fleet-request.ts';
import type { HealthSignal, HostHealth } from '../../../src/protocol/public/hosts/health.ts';

const MINUTE_MS = 60_000;
const failing: HealthSignal = { kind: 'memory', level: 'failing', part: 'mc0', words: '7 errors' };

/** A controller that follows a and b, whose hardware says what the test wants. */
async function watched(t: TestContext, policy: 'propose' | 'drain') {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const held = new Map<number, number>();
  for (const name of ['a', 'b']) {
    const shard = shardOf(name);
    if (!held.has(shard)) {
      const lease = { shard, owner: 'one', epoch: 1, lease_until: Date.now() + 600_000 };
      await store.db.insertInto('host_leases').values(lease).execute();
    }
    held.set(shard, 1);
    const nothing = { version: null, cores: null, memory_bytes: null, reason: null, info: null };
    const row = { ...nothing, memory_available_bytes: null, guests: 0, since: 0, changed_at: 0 };
    const host = { name, address: `${name}:1`, shard, state: 'up', epoch: 1 };
    await store.db
      .insertInto('hosts')
      .values({ ...row, ...host })
      .execute();
  }
  let nowMs = 0;
  const clock: Clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: () => Promise.resolve(),
  };
  const said = new Map<string, readonly HealthSignal[]>([
    ['a', []],
    ['b', []],
  ]);
  const health = (signals: readonly HealthSignal[]): HostHealth => ({
    at: new Date(nowMs).toISOString(),
    signals: [...signals],
    notRead: [],
  });
  const hosts = () => [...said].map(([name, signals]) => ({ name, health: health(signals) }));
  const config = controllerConfig.parse({
    name: 'control',
    address: '127.0.0.1:0',
    stateDir: '/nowhere',
    health: { policy },
  });
  const parts = { store, clock, log: silentLog, policy: config.health, held: () => held, hosts };
  let watch = new HealthWatch(parts);
  /** Looks once in a minute for so many minutes. */
  const pass = async (minutes: number): Promise<void> => {
    for (let minute = 0; minute <= minutes; minute += 1) {
      await watch.look();
      nowMs += MINUTE_MS;
    }
  };
  const restart = (): void => {
    watch = new HealthWatch(parts);
  };
  return { store, said, held, pass, restart, requests: new Requests(store) };
}

test('a drain of a host with failing hardware is proposed, and the host is well after an hour without errors', async (t) => {
  const { store, said, pass, restart, requests } = await watched(t, 'propose');
  said.set('a', [failing]);
  await pass(3);
  assert.equal((await illHosts(store)).size, 0);
  await pass(3);
  const ill = (await illHosts(store)).get('a');
  assert.deepEqual([ill?.words, ill?.request], ['memory mc0: 7 errors', undefined]);
  assert.deepEqual(await requests.list(), []);
  said.set('a', []);
  restart();
  await pass(50);
  assert.equal((await illHosts(store)).get('a')?.words, 'memory mc0: 7 errors');
  await pass(15);
  assert.equal((await illHosts(store)).size, 0);
});

test('the policy drains an ill host once for each illness, and at most the allowed number', async (t) => {
  const { store, said, pass, restart, requests } = await watched(t, 'drain');
  said.set('a', [failing]);
  await pass(6);
  said.set('b', [failing]);
  await pass(6);
  const [drain, ...more] = await requests.list();
  assert.deepEqual([drain?.ask.kind, drain?.ask.hosts, more.length], ['drain', ['a'], 0]);
  assert.equal((await illHosts(store)).get('a')?.request, drain?.id);
  assert.equal((await illHosts(store)).get('b')?.request, undefined);
  // A person thinks otherwise, and is not overruled: not by a new controller either.
  await requests.undrain('a');
  restart();
  await pass(10);
  assert.equal((await requests.list()).length, 1);
});

test("a drain that a person requested does not count among the policy's allowed drains", async (t) => {
  const { store, said, pass, requests } = await watched(t, 'drain');
  const ask = requestAsk.parse({ kind: 'drain', hosts: ['a'] });
  const own = newRequest('r-000000000001', ask, { nowMs: 0, by: 'ada' });
  await requests.add(own);
  said.set('a', [failing]);
  said.set('b', [failing]);
  await pass(6);
  assert.equal((await illHosts(store)).get('a')?.request, own.id);
  const drained = (await requests.list()).map(({ ask: { hosts } }) => hosts.join());
  assert.deepEqual(new Set(drained), new Set(['a', 'b']));
});

test("a person's note counts at once, until it is removed; a note on an unknown host is refused", async (t) => {
  const { store, pass, restart, requests } = await watched(t, 'drain');
  await setMaintenance(store, 'b', 'a fan is replaced');
  await pass(0);
  assert.deepEqual((await requests.list())[0]?.ask.hosts, ['b']);
  restart();
  await setMaintenance(store, 'b', null);
  await pass(0);
  assert.equal((await illHosts(store)).size, 0);
  await assert.rejects(setMaintenance(store, 'zz', 'x'), (thrown) =>
    hasCode(thrown, 'GODWIT_HOST_UNKNOWN'),
  );
});

test('a silent host is not judged, and a controller without its lease writes nothing', async (t) => {
  const { store, said, held, pass } = await watched(t, 'drain');
  said.delete('a');
  said.set('b', [failing]);
  held.clear();
  await pass(10);
  assert.equal((await illHosts(store)).size, 0);
});
