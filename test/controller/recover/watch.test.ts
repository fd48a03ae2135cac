import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askedStandbys, standbyFacts } from '../../../src/controller/store/standbys.ts';
import { godwitError } from '../../../src/errors.ts';
import { guestRow, insertGuests, looks, storeWith, watchOf, type Ask } from './scene.ts';

const HOSTS = ['a', 'b', 'c', 'd', 'e'];
const WEB1 = { a: ['web1'] };

const refuses = async ({ to, guest }: Ask): Promise<void> => {
  const facts = { host: to, guest, device: 'vda', reason: 'it is not shared' };
  throw godwitError('GODWIT_DISK_MISSING', facts);
};

test('two hosts keep a guest whose label requests it, and no host keeps another guest', async (t) => {
  const store = await storeWith(t, HOSTS, WEB1);
  const others = ['false', 'TRUE', '"godwit/recover":"true"'];
  await insertGuests(
    store,
    others.map((label, at) => guestRow('a', `db${at}`, label)),
  );
  const { watch, asked } = watchOf(store);
  await looks(watch, 4);
  assert.equal(asked.length, 2);
  assert.ok(asked.every(({ at, guest, to }) => at === 'a' && guest === 'web1' && to !== 'a'));
  const facts = await standbyFacts(store);
  assert.deepEqual([...facts.keys()], ['a web1']);
  assert.deepEqual(facts.get('a web1')?.hosts.toSorted(), asked.map(({ to }) => to).toSorted());
});

test('a host that refuses is not asked again at once, and another host is', async (t) => {
  const store = await storeWith(t, HOSTS, WEB1);
  const { watch, asked } = watchOf(store, { answer: refuses });
  await looks(watch, 6);
  assert.deepEqual(asked.map(({ to }) => to).toSorted(), ['b', 'c', 'd', 'e']);
  const facts = (await standbyFacts(store)).get('a web1');
  assert.deepEqual(facts?.hosts, []);
  assert.match(facts?.words ?? '', /it is not shared/);
});

test('the copies of a guest that left its host or lost its label are forgotten', async (t) => {
  const store = await storeWith(t, HOSTS, { a: ['web1', 'web2'] });
  const { watch } = watchOf(store);
  await looks(watch, 2);
  assert.equal((await askedStandbys(store)).length, 4);
  await store.db.deleteFrom('guests').where('name', '=', 'web1').execute();
  await watch.look();
  assert.deepEqual(
    new Set((await askedStandbys(store)).map(({ guest }) => guest)),
    new Set(['web2']),
  );
  const { info } = guestRow('a', 'web2', 'false');
  await store.db.updateTable('guests').set({ info }).execute();
  await watch.look();
  assert.deepEqual(await askedStandbys(store), []);
});

test('copies from or at a host that left the fleet are forgotten', async (t) => {
  const store = await storeWith(t, HOSTS, WEB1);
  const { watch } = watchOf(store);
  await looks(watch, 2);
  const [first, second] = await askedStandbys(store);
  await store.db
    .deleteFrom('hosts')
    .where('name', '=', first?.to ?? '')
    .execute();
  await looks(watch, 1);
  const left = (await askedStandbys(store)).map(({ to }) => to);
  assert.ok(left.includes(second?.to ?? '') && !left.includes(first?.to ?? ''), left.join());
  await store.db.deleteFrom('guests').execute();
  await store.db.deleteFrom('hosts').where('name', '=', 'a').execute();
  await looks(watch, 1);
  assert.deepEqual(await askedStandbys(store), []);
});

test('copies of guests of a silent host stay', async (t) => {
  const store = await storeWith(t, HOSTS, WEB1);
  const { watch } = watchOf(store);
  await looks(watch, 2);
  await store.db.updateTable('hosts').set({ state: 'silent' }).where('name', '=', 'a').execute();
  await store.db.deleteFrom('guests').execute();
  await looks(watch, 1);
  assert.equal((await askedStandbys(store)).length, 2);
});

test('a moving guest is kept at the host of its newest report, and an incoming one only at its source', async (t) => {
  const store = await storeWith(t, HOSTS, WEB1);
  const moving = { from: 'a', to: 'b', runsAt: 'source', epoch: 2 };
  const { info, ...row } = guestRow('b', 'web1');
  const report = { ...JSON.parse(info), state: 'incoming', moving, migration: 'm-00000001' };
  const incoming = { ...row, state: 'incoming', info: JSON.stringify(report) };
  await insertGuests(store, [incoming, { ...incoming, name: 'web2' }]);
  const { watch, asked } = watchOf(store);
  await looks(watch, 3);
  assert.deepEqual(new Set(asked.map(({ at, guest }) => `${at} ${guest}`)), new Set(['a web1']));
  const arrived = { ...JSON.parse(info), epoch: 3 };
  await store.db
    .updateTable('guests')
    .set({ state: 'running', info: JSON.stringify(arrived) })
    .where('host', '=', 'b')
    .where('name', '=', 'web1')
    .execute();
  // The source has had no time yet to report that the guest left, and is taken at its word.
  await store.db.updateTable('guests').set({ changed_at: Date.now() }).execute();
  asked.length = 0;
  await looks(watch, 3);
  assert.deepEqual(new Set(asked.map(({ at, guest }) => `${at} ${guest}`)), new Set(['b web1']));
  const keepers = async () => new Set((await askedStandbys(store)).map(({ host }) => host));
  assert.deepEqual(await keepers(), new Set(['a', 'b']));
  await store.db.deleteFrom('guests').where('host', '=', 'a').execute();
  await looks(watch, 1);
  assert.ok((await askedStandbys(store)).every(({ host }) => host === 'b'));
});

test('the policy is off by default, and asks once each time a host falls silent', async (t) => {
  const store = await storeWith(t, HOSTS, WEB1);
  const silent = { state: 'silent', since: 1000 };
  await store.db.updateTable('hosts').set(silent).where('name', 'in', ['a', 'b']).execute();
  const off = watchOf(store);
  await off.watch.lookForDead();
  assert.deepEqual(off.requests, []);
  const policy = { policy: 'start', silentMs: 15_000 } as const;
  const { watch, requests } = watchOf(store, { policy });
  for (let each = 0; each < 3; each += 1) await watch.lookForDead();
  assert.deepEqual(
    requests.map(({ ask }) => [ask.kind, ask.hosts]),
    [['recover', ['a']]],
  );
  await store.db.updateTable('hosts').set({ since: 2000 }).where('name', '=', 'a').execute();
  for (let each = 0; each < 2; each += 1) await watch.lookForDead();
  assert.equal(requests.length, 2);
});

test('a host that is silent for a moment, or answers in another version, does not count as dead', async (t) => {
  const store = await storeWith(t, HOSTS, WEB1);
  const policy = { policy: 'start', silentMs: 15_000 } as const;
  const { watch, requests } = watchOf(store, { policy });
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
    await watch.lookForDead();
  }
  assert.deepEqual(requests, []);
});
