import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  askedStandbys,
  MAX_COVERED,
  MAX_ROWS,
  standbysOf,
} from '../../../src/controller/store/standbys.ts';
import { silentLog } from '../../../src/log.ts';
import { untilSo } from '../../until.ts';
import {
  guestRow,
  insert,
  insertGuests,
  looks,
  names,
  SetClock,
  storeWith,
  watchOf,
  type Answer,
} from './scene.ts';

/** Never answers: the ask ends with its signal. */
const hangs = (signal: AbortSignal): Promise<void> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });

const LOOK_MS = 15_000;
const START = { policy: 'start', silentMs: 15_000 } as const;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

test('a host that never answers delays no other host: neither its questions nor its recovery', async (t) => {
  const hosts = ['a', 'b', 'c', 'evil'];
  const store = await storeWith(t, hosts, { evil: names('x', 300), a: ['web1'], b: ['db1'] });
  const clock = new SetClock();
  const answer: Answer = ({ at }, signal) => (at === 'evil' ? hangs(signal) : Promise.resolve());
  const { watch, asked, requests } = watchOf(store, { clock, policy: START, answer });
  watch.start();
  t.after(() => watch.close());
  const asks = (host: string): number => asked.filter(({ at }) => at === host).length;
  /** Both loops wait for their next look. */
  const areIdle = (): boolean => clock.waits === 2;
  await untilSo(() => areIdle() && asks('evil') === 1 && asks('a') === 1 && asks('b') === 1);
  clock.advance(LOOK_MS);
  await untilSo(() => areIdle() && asks('a') === 2 && asks('b') === 2);
  const silent = { state: 'silent', since: 1000 };
  await store.db.updateTable('hosts').set(silent).where('name', '=', 'a').execute();
  clock.advance(LOOK_MS);
  await untilSo(() => requests.length === 1);
  assert.deepEqual(requests[0]?.ask.hosts, ['a']);
  // One ask of that host is under way, although 300 guests wait.
  assert.equal(asks('evil'), 1);
});

test("guests that one host labels take a bounded part of a look, and never another host's place in it", async (t) => {
  const hosts = ['evil', ...names('h', 99)];
  const guests = { evil: names('x', 5000), h00007: ['web1'], h00042: ['db1', 'db2'] };
  const store = await storeWith(t, hosts, guests);
  let [hashes, between, longest, turns] = [0, 0, 0, 0];
  const { watch, asked } = watchOf(store, {
    hash: (text) => {
      [hashes, between] = [hashes + 1, between + 1];
      longest = Math.max(longest, between);
      return sha256(text);
    },
    yieldTurn: async () => {
      [turns, between] = [turns + 1, 0];
    },
  });
  await looks(watch, 1);
  assert.equal(asked.length, 64);
  const asks = (host: string): number => asked.filter(({ at }) => at === host).length;
  assert.deepEqual([asks('h00007'), asks('h00042'), asks('evil')], [1, 2, 61]);
  // One of each host, and one of each guest that may be asked for in this look.
  assert.equal(hashes, hosts.length + 64 + 1 + 2);
  assert.ok(longest <= hosts.length, `${longest} hashes in one piece`);
  // One piece for each 8 hosts, and two for each host with labelled guests.
  assert.equal(turns, 13 + 2 * 3);
});

test('more due hosts than one look allows have their turns one after another', async (t) => {
  const hosts = names('h', 100);
  const guests = Object.fromEntries(hosts.map((host) => [host, [`${host}-x`, `${host}-y`]]));
  const store = await storeWith(t, hosts, guests);
  const { watch, asked } = watchOf(store);
  await looks(watch, 2);
  assert.equal(asked.length, 128);
  assert.equal(new Set(asked.map(({ at }) => at)).size, 100);
});

test("guests beyond a host's limit are not kept, and the host and the guests are named", async (t) => {
  const store = await storeWith(t, ['a', 'b', 'c'], { a: names('x', MAX_COVERED + 20) });
  const warnings: Readonly<Record<string, unknown>>[] = [];
  const log = {
    ...silentLog,
    warn: (facts: Readonly<Record<string, unknown>>) => warnings.push(facts),
  };
  const exceeding = new Map<string, boolean>();
  const exceeds = (host: string, isExceeded: boolean) => void exceeding.set(host, isExceeded);
  const { watch, asked } = watchOf(store, { log, exceeds });
  await looks(watch, MAX_COVERED / 64 + 1);
  const guests = names('x', MAX_COVERED);
  assert.deepEqual([...new Set(asked.map(({ guest }) => guest))].toSorted(), guests);
  const beyond = names('x', MAX_COVERED + 8).slice(MAX_COVERED);
  assert.deepEqual(warnings, [{ host: 'a', limit: MAX_COVERED, beyond }]);
  assert.equal(exceeding.get('a'), true);
  await store.db
    .deleteFrom('guests')
    .where('name', '>=', `x00${MAX_COVERED - 24}`)
    .execute();
  await looks(watch, 1);
  assert.equal(exceeding.get('a'), false);
});

test('rows of an earlier build beyond the bound are forgotten, and later refusals respect it', async (t) => {
  const [hosts, guests] = [['evil', ...names('h', 60)], names('x', MAX_COVERED)];
  const store = await storeWith(t, hosts, { evil: guests });
  const row = { source: 'evil', kept_at: Date.now(), words: 'refused' };
  const rows = guests.flatMap((guest) =>
    names('h', 20).map((destination) => ({ ...row, guest, destination })),
  );
  await insert(rows, (some) => store.db.insertInto('standbys').values(some).execute());
  const answer: Answer = () => Promise.reject(new Error('no'));
  const { watch, asked } = watchOf(store, { answer });
  await looks(watch, 6);
  const count = async (): Promise<number> => (await askedStandbys(store)).length;
  assert.ok((await count()) <= MAX_ROWS, `${await count()} rows`);
  for (let round = 0; round < 2; round += 1) {
    await store.db
      .updateTable('standbys')
      .set((eb) => ({ kept_at: eb('kept_at', '-', 600_000) }))
      .execute();
    asked.length = 0;
    await looks(watch, MAX_COVERED / 64);
    assert.equal(new Set(asked.map(({ guest }) => guest)).size, MAX_COVERED);
    assert.ok((await count()) <= MAX_ROWS, `${await count()} rows`);
  }
});

test('a destination that lets questions hang keeps no source from the others', async (t) => {
  const hosts = ['a', 'b', 'c', 'evil'];
  const store = await storeWith(t, hosts, { a: names('x', 50) });
  const clock = new SetClock();
  const answer: Answer = async ({ to }) => {
    clock.advance(to === 'evil' ? 110_000 : 1000);
    if (to === 'evil') throw new Error('no answer in time');
  };
  const { watch, asked } = watchOf(store, { clock, answer });
  await looks(watch, 6);
  assert.equal(asked.filter(({ to }) => to === 'evil').length, 1);
  const kept = (await standbysOf(store, 'a')).filter(({ isKept }) => isKept);
  assert.deepEqual(new Set(kept.map(({ to }) => to)), new Set(['b', 'c']));
  assert.equal(kept.length, 100);
});

test('a source that lets questions hang is left alone for a while', async (t) => {
  const sources = names('evil', 6);
  const guests = Object.fromEntries(sources.map((host) => [host, names(`${host}-x`, 20)]));
  const hosts = [...sources, 'a', 'b'];
  const store = await storeWith(t, hosts, { ...guests, a: ['web1'] });
  const clock = new SetClock();
  let open: (() => void)[] = [];
  const answer: Answer = ({ at }) => {
    if (at === 'a') return Promise.resolve();
    return new Promise((_resolve, reject) => {
      open.push(() => reject(new Error('no answer in time')));
    });
  };
  const { watch, asked } = watchOf(store, { clock, answer });
  for (let look = 0; look < 40; look += 1) {
    const before = asked.length;
    await watch.look();
    assert.ok(asked.length - before <= hosts.length, 'more than one ask of a host');
    clock.advance(110_000);
    for (const end of open) end();
    open = [];
    await watch.settled();
  }
  assert.equal(asked.filter(({ at }) => at === 'a').length, 2);
  // 40 looks at 110 s are time for 40 asks: four in a row, then one in five.
  for (const host of sources) {
    const count = asked.filter(({ at }) => at === host).length;
    assert.ok(count >= 4 && count <= 13, `${count} asks of ${host}`);
  }
});

test('a destination that lets questions hang is asked about by four sources at a time', async (t) => {
  const sources = names('h', 8);
  const guests = Object.fromEntries(sources.map((host) => [host, names(`${host}-x`, 8)]));
  const store = await storeWith(t, [...sources, 'evil'], guests);
  let open = 0;
  const answer: Answer = async ({ to }, signal) => {
    if (to !== 'evil') throw new Error('no');
    open += 1;
    await hangs(signal);
  };
  const { watch } = watchOf(store, { answer });
  await untilSo(async () => {
    await watch.look();
    return open >= 4;
  });
  for (let look = 0; look < 4; look += 1) await watch.look();
  assert.equal(open, 4);
  await watch.close();
});

test("a host that claims another host's guests by a newer right removes neither their standbys nor their recovery", async (t) => {
  const store = await storeWith(t, ['a', 'b', 'evil'], {});
  const uuid = 'c0ffee00-0000-4000-8000-000000000001';
  const claim = (host: string, epoch: number, changed_at: number, recover?: string) => {
    const { info, ...row } = guestRow(host, 'web1', recover);
    return { ...row, uuid, changed_at, info: JSON.stringify({ ...JSON.parse(info), uuid, epoch }) };
  };
  // What has just changed is not judged yet, so this host changes its report again and again.
  await insertGuests(store, [claim('a', 1, 0), claim('evil', 9, Date.now(), 'false')]);
  const clock = new SetClock();
  const { watch, asked, requests } = watchOf(store, { clock, policy: START });
  await looks(watch, 3);
  assert.deepEqual(
    asked
      .filter(({ at }) => at === 'a')
      .map(({ to }) => to)
      .toSorted(),
    ['b', 'evil'],
  );
  assert.equal((await standbysOf(store, 'a')).length, 2);
  const silent = { state: 'silent', since: 1000 };
  await store.db.updateTable('hosts').set(silent).where('name', '=', 'a').execute();
  await watch.lookForDead();
  assert.deepEqual(requests[0]?.ask.hosts, ['a']);
});

test("a guest that its host reports as moved belongs to the other host, even if that host's report is older", async (t) => {
  const store = await storeWith(t, ['a', 'b', 'c'], {});
  const row = (host: string, more: object) => {
    const { info, ...rest } = guestRow(host, 'web1');
    return {
      ...rest,
      changed_at: Date.now(),
      info: JSON.stringify({ ...JSON.parse(info), ...more }),
    };
  };
  const moving = { from: 'a', to: 'b', runsAt: 'source' };
  const leaves = { state: 'migrating', epoch: 1, migration: 'm-1', moving };
  await insertGuests(store, [row('a', leaves), row('b', { epoch: 2 })]);
  const { watch, asked } = watchOf(store);
  await looks(watch, 3);
  assert.deepEqual([...new Set(asked.map(({ at }) => at))], ['b']);
});
