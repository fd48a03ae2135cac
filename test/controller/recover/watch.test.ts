import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import {
  RecoverWatch,
  type RecoverWatchDependencies,
} from '../../../src/controller/recover/watch.ts';
import { shardOf } from '../../../src/controller/inventory/shards.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import type { GuestRow, HostRow } from '../../../src/controller/store/tables.ts';
import { askedStandbys, standbyFacts } from '../../../src/controller/store/standbys.ts';
import { godwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import type { Wish } from '../../../src/protocol/controller/wish.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const HOSTS = ['a', 'b', 'c', 'd', 'e'];

const hostRow = (name: string): HostRow => ({
  name,
  address: `${name}:7000`,
  site: null,
  shard: shardOf(name),
  state: 'up',
  since: 0,
  reason: null,
  version: null,
  cores: 8,
  memory_bytes: 2 ** 33,
  memory_available_bytes: null,
  guests: 1,
  info: null,
  managed: null,
  excess: null,
  excess_since: null,
  changed_at: 0,
  epoch: 1,
});

function guestRow(name: string, recover: boolean): GuestRow {
  const info = {
    name,
    host: 'a',
    driver: 'fake',
    state: 'running',
    nics: [],
    devices: [],
    unmovable: [],
    labels: { 'godwit/recover': String(recover) },
  };
  return {
    host: 'a',
    name,
    uuid: '',
    state: 'running',
    memory_bytes: 1,
    vcpus: 1,
    driver: 'fake',
    info: JSON.stringify(info),
    changed_at: 0,
    epoch: 1,
  };
}

async function storeWith(t: TestContext, labelled: readonly string[]): Promise<Store> {
  const store = await openStore({ sqlite: `${tempDir(t)}/fleet.db` }, silentLog);
  t.after(() => store.close());
  for (const name of HOSTS) await store.db.insertInto('hosts').values(hostRow(name)).execute();
  for (const name of ['web1', 'web2']) {
    const row = guestRow(name, labelled.includes(name));
    await store.db.insertInto('guests').values(row).execute();
  }
  return store;
}

interface Asked {
  readonly at: string;
  readonly guest: string;
  readonly to: string;
}

function watchOf(store: Store, more: Partial<RecoverWatchDependencies> = {}) {
  const asked: Asked[] = [];
  const wishes: Wish[] = [];
  const refusing = new Set<string>();
  const watch = new RecoverWatch({
    store,
    clock: systemClock,
    log: silentLog,
    policy: { policy: 'off', silentMs: 15_000 },
    held: () => new Map(HOSTS.map((name) => [shardOf(name), 1])),
    agentAt: (at) => ({
      putStandby: async ({ params: { guest }, body: { to } }) => {
        asked.push({ at, guest, to });
        if (refusing.has(to)) throw godwitError('GODWIT_DISK_MISSING', noDisk(to, guest));
        return { guest, to, checks: [] };
      },
    }),
    add: async (wish) => {
      if (!wishes.some(({ id }) => id === wish.id)) wishes.push(wish);
    },
    ...more,
  });
  return { watch, asked, wishes, refusing };
}

const noDisk = (host: string, guest: string) => ({
  host,
  guest,
  device: 'vda',
  reason: 'it is not shared',
});

const looks = async (watch: RecoverWatch, times: number): Promise<void> => {
  for (let each = 0; each < times; each += 1) await watch.look();
};

test('a guest whose label asks for it is kept by two hosts, and no other guest by any', async (t) => {
  const store = await storeWith(t, ['web1']);
  const { watch, asked } = watchOf(store);
  await looks(watch, 4);
  assert.equal(asked.length, 2);
  assert.ok(asked.every(({ at, guest, to }) => at === 'a' && guest === 'web1' && to !== 'a'));
  const facts = await standbyFacts(store);
  assert.deepEqual([...facts.keys()], ['a web1']);
  assert.deepEqual(facts.get('a web1')?.hosts.toSorted(), asked.map(({ to }) => to).toSorted());
});

test('a host that refuses is not asked again at once, and another one is', async (t) => {
  const store = await storeWith(t, ['web1']);
  const { watch, asked, refusing } = watchOf(store);
  for (const host of HOSTS) refusing.add(host);
  await looks(watch, 6);
  assert.deepEqual(asked.map(({ to }) => to).toSorted(), ['b', 'c', 'd', 'e']);
  const facts = (await standbyFacts(store)).get('a web1');
  assert.deepEqual(facts?.hosts, []);
  assert.match(facts?.words ?? '', /it is not shared/);
});

test('what is kept of a guest that left its host, or lost its label, is forgotten', async (t) => {
  const store = await storeWith(t, ['web1']);
  const { watch } = watchOf(store);
  await looks(watch, 2);
  assert.equal((await askedStandbys(store)).length, 2);
  await store.db.deleteFrom('guests').where('name', '=', 'web1').execute();
  await watch.look();
  assert.deepEqual(await askedStandbys(store), []);
});

test('what is kept of guests of a host that left the fleet, or by such a host, is forgotten', async (t) => {
  const store = await storeWith(t, ['web1']);
  const { watch } = watchOf(store);
  await looks(watch, 2);
  const [first, second] = await askedStandbys(store);
  await store.db
    .deleteFrom('hosts')
    .where('name', '=', first?.to ?? '')
    .execute();
  await watch.look();
  const left = (await askedStandbys(store)).map(({ to }) => to);
  assert.ok(left.includes(second?.to ?? '') && !left.includes(first?.to ?? ''), left.join());
  await store.db.deleteFrom('guests').execute();
  await store.db.deleteFrom('hosts').where('name', '=', 'a').execute();
  await watch.look();
  assert.deepEqual(await askedStandbys(store), []);
});

test('what is kept of guests of a host that is silent stays', async (t) => {
  const store = await storeWith(t, ['web1']);
  const { watch } = watchOf(store);
  await looks(watch, 2);
  await store.db.updateTable('hosts').set({ state: 'silent' }).where('name', '=', 'a').execute();
  await store.db.deleteFrom('guests').execute();
  await watch.look();
  assert.equal((await askedStandbys(store)).length, 2);
});

test('the policy is off unless it is asked for, and asks once for each time that a host falls silent', async (t) => {
  const store = await storeWith(t, ['web1']);
  const silent = { state: 'silent', since: 1000 };
  await store.db.updateTable('hosts').set(silent).where('name', 'in', ['a', 'b']).execute();
  const off = watchOf(store);
  await looks(off.watch, 2);
  assert.deepEqual(off.wishes, []);
  const policy = { policy: 'start', silentMs: 15_000 } as const;
  const { watch, wishes } = watchOf(store, { policy });
  await looks(watch, 3);
  assert.deepEqual(
    wishes.map(({ ask }) => [ask.kind, ask.hosts]),
    [['recover', ['a']]],
  );
  await store.db.updateTable('hosts').set({ since: 2000 }).where('name', '=', 'a').execute();
  await looks(watch, 2);
  assert.equal(wishes.length, 2);
});

test('a host that is silent for a moment, or answers in another version, is not taken for dead', async (t) => {
  const store = await storeWith(t, ['web1']);
  const policy = { policy: 'start', silentMs: 15_000 } as const;
  const { watch, wishes } = watchOf(store, { policy });
  const now = Date.now();
  const set = (state: string, since: number) =>
    store.db.updateTable('hosts').set({ state, since }).where('name', '=', 'a').execute();
  for (const [state, since] of [
    ['silent', now],
    ['incompatible', 1000],
    ['untrusted', 1000],
    ['up', 1000],
  ] as const) {
    await set(state, since);
    await watch.look();
  }
  assert.deepEqual(wishes, []);
});
