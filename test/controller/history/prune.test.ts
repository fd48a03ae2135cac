import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { horizonOf, pruneHistory, shareOf } from '../../../src/controller/history/prune.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { silentLog } from '../../../src/log.ts';

const DAY_MS = 86_400_000;

async function stored(ages: readonly (number | null)[]): Promise<Store> {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  const fixed = { guest: 'web1', source: 'a', destination: 'b', mode: 'precopy', epoch: 1 };
  for (const [nth, days] of ages.entries()) {
    const at = Date.now() - (days ?? 0) * DAY_MS;
    const row = { ...fixed, id: `m-${String(nth).padStart(8, '0')}`, told_by: 'a', side: 'source' };
    await store.db
      .insertInto('migrations')
      .values({ ...row, started_at: at - 1, ended_at: days === null ? null : at })
      .execute();
  }
  return store;
}

const left = async ({ db }: Store): Promise<string[]> =>
  (await db.selectFrom('migrations').select('id').orderBy('id').execute()).map(({ id }) =>
    id.slice(-1),
  );

test('entries older than the policy are removed, and open ones stay', async () => {
  const store = await stored([100, 91, 89, null, 0]);
  const gone = await pruneHistory(store, { days: 90, most: 100 });
  assert.deepEqual([gone.migrations, gone.requests], [2, 0]);
  assert.deepEqual(await left(store), ['2', '3', '4']);
  const horizon = await horizonOf(store, { days: 90, most: 100 });
  assert.equal(horizon.hosts.size, 0);
  assert.ok(Math.abs(horizon.allMs - (Date.now() - 90 * DAY_MS)) < 60_000);
  await store.close();
});

test("entries beyond the count are removed, the oldest first, and are not stored again from a host's report", async () => {
  const store = await stored([5, 4, 3, 2, 1]);
  assert.equal((await pruneHistory(store, { days: 90, most: 3 })).migrations, 2);
  assert.deepEqual(await left(store), ['2', '3', '4']);
  const horizon = (await horizonOf(store, { days: 90, most: 3 })).hosts.get('a') ?? 0;
  assert.ok(horizon > Date.now() - 4 * DAY_MS && horizon <= Date.now() - 3 * DAY_MS);
  await store.close();
});

/** Rows of these hosts, each with a report of that many characters; the first of each host is the oldest. */
async function reported(
  hosts: Readonly<Record<string, { readonly rows: number; readonly chars: number }>>,
): Promise<Store> {
  const store = await stored([]);
  const fixed = { guest: 'web1', destination: 'x', mode: 'precopy', epoch: 1, side: 'source' };
  for (const [host, { rows, chars }] of Object.entries(hosts))
    for (let nth = 0; nth < rows; nth += 1) {
      const at = Date.now() - DAY_MS + nth * 1000;
      const id = `m-${String(nth).padStart(8, '0')}`;
      const row = { ...fixed, id, source: host, told_by: host, report: 'x'.repeat(chars) };
      await store.db
        .insertInto('migrations')
        .values({ ...row, started_at: at - 1, ended_at: at })
        .execute();
    }
  return store;
}

async function leftOf(store: Store): Promise<Record<string, number>> {
  const rows = await store.db
    .selectFrom('migrations')
    .select(({ fn }) => ['told_by', fn.countAll<number>().as('count')])
    .groupBy('told_by')
    .orderBy('told_by')
    .execute();
  return Object.fromEntries(rows.map(({ told_by: host, count }) => [host, Number(count)]));
}

test('a host that reports without end displaces no row of the others', async () => {
  const store = await reported({
    a: { rows: 5, chars: 10 },
    b: { rows: 700, chars: 10 },
    c: { rows: 20, chars: 10 },
  });
  const policy = { days: 90, most: 100 };
  const gone = await pruneHistory(store, policy);
  assert.equal(gone.migrations, 625);
  assert.deepEqual(await leftOf(store), { a: 5, b: 75, c: 20 });
  const { hosts } = await horizonOf(store, policy, gone.until);
  assert.deepEqual([...hosts.keys()], ['b']);
  assert.equal((await pruneHistory(store, policy)).migrations, 0);
  await store.close();
});

test('long reports of one host cost that host its rows, and no other', async () => {
  const store = await reported({ a: { rows: 50, chars: 1000 }, b: { rows: 60, chars: 60_000 } });
  const policy = { days: 90, most: 1000, maxBytes: 1_000_000 };
  const gone = await pruneHistory(store, policy);
  assert.deepEqual(await leftOf(store), { a: 50, b: 15 });
  assert.equal(gone.until.has('b'), true);
  assert.equal(gone.until.has('a'), false);
  await store.close();
});

test('a share never leaves a host with less than the others have, unless it has no more', () => {
  const amounts = fc.array(fc.nat(100), { maxLength: 10 });
  fc.assert(
    fc.property(amounts, fc.nat(500), (all, total) => {
      const share = shareOf(all, total);
      const kept = all.map((each) => Math.min(each, share));
      const sum = kept.reduce((one, other) => one + other, 0);
      assert.ok(sum <= total || all.length === 0);
      if (all.some((each) => each > share)) assert.ok(sum > total - all.length);
    }),
  );
});

test('a request is removed with its claim and its moves, unless memory is reserved for one of them', async () => {
  const store = await stored([]);
  for (const id of ['r-00000001', 'r-00000002']) {
    const request = {
      id,
      kind: 'drain',
      subject: id,
      state: 'done',
      body: '{}',
      created_by: 'ann',
    };
    await store.db
      .insertInto('requests')
      .values({ ...request, created_at: 1, due_at: 0, ended_at: 2 })
      .execute();
    const claim = { request_id: id, owner: 'one', epoch: 1, lease_until: 0 };
    await store.db.insertInto('claims').values(claim).execute();
  }
  const promised = {
    request_id: 'r-00000002',
    host: 'b',
    source: '',
    memory_bytes: 1,
    created_at: 1,
  };
  await store.db
    .insertInto('reservations')
    .values({ move_id: 'm-00000001', ...promised })
    .execute();
  // What was given back is reserved for nobody, and goes along.
  const back = { ...promised, request_id: 'r-00000001', given_back_at: 2 };
  await store.db
    .insertInto('reservations')
    .values({ move_id: 'm-00000002', ...back })
    .execute();
  assert.equal((await pruneHistory(store, { days: 1, most: 9 })).requests, 1);
  const kept = await store.db.selectFrom('reservations').select('move_id').execute();
  assert.deepEqual(
    kept.map((row) => row.move_id),
    ['m-00000001'],
  );
  const rows = await store.db.selectFrom('claims').select('request_id').execute();
  assert.deepEqual(
    rows.map((row) => row.request_id),
    ['r-00000002'],
  );
  await store.close();
});
