import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { findMigration } from '../../../src/controller/history/find-migration.ts';
import { History, type HistoryDependencies } from '../../../src/controller/history/history.ts';
import { endedRow, openRow } from '../../../src/controller/history/record.ts';
import { shardOf } from '../../../src/controller/inventory/shards.ts';
import { Migrations } from '../../../src/controller/store/migrations.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { hasCode } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { NOTHING, percentAfter } from '../../../src/migration/percent.ts';
import type { MigrationSummary } from '../../../src/protocol/public/migration.ts';
import { until } from '../../until.ts';

const EPOCH = 7;

/** What a source reports of a move of web1 that goes on. */
function summary(given: Partial<MigrationSummary>): MigrationSummary {
  return {
    id: 'm-00000001',
    guest: 'web1',
    from: 'a',
    to: 'b',
    mode: 'precopy',
    phase: 'memory',
    elapsedMs: 1000,
    percent: 10,
    side: 'source',
    startedAt: new Date().toISOString(),
    moverAlive: true,
    ...given,
  };
}

/** A database whose leases of the hosts a, b and c are held under `EPOCH`. */
async function stored(
  t: TestContext,
): Promise<{ store: Store; migrations: Migrations; held: Map<number, number> }> {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const shards = new Set(['a', 'b', 'c'].map((host) => shardOf(host)));
  for (const shard of shards) {
    const lease = { shard, owner: 'one', epoch: EPOCH, lease_until: Date.now() + 600_000 };
    await store.db.insertInto('host_leases').values(lease).execute();
  }
  const held = new Map([...shards].map((shard) => [shard, EPOCH]));
  return { store, migrations: new Migrations(store), held };
}

/** A request asked for the move m-00000001. */
async function asked(
  { db }: Store,
  move: { readonly guest: string; readonly source: string; readonly destination: string },
): Promise<void> {
  const request = { id: 'r-00000001', kind: 'drain', subject: 'a', state: 'moving', body: '{}' };
  const made = { created_by: 'ann', created_at: 1, due_at: 0 };
  await db
    .insertInto('requests')
    .values({ ...request, ...made })
    .execute();
  const of = { attempt: 1, state: 'asked', asked_epoch: 1, body: '{}', created_at: 1 };
  await db
    .insertInto('moves')
    .values({ id: 'm-00000001', request_id: request.id, ...move, ...of })
    .execute();
}

/** The history of a fleet of which each host reports that list. */
async function reported(
  t: TestContext,
  lists: Readonly<Record<string, readonly MigrationSummary[]>>,
): Promise<{ history: History; of: (id: string) => Promise<string | undefined> }> {
  const { store, migrations, held } = await stored(t);
  const agentAt = (host: string) => {
    const list = lists[host];
    if (list === undefined) return undefined;
    const api = { migrations: async () => ({ migrations: list }) };
    return api as unknown as ReturnType<HistoryDependencies['agentAt']>;
  };
  const policy = { days: 90, most: 1000 };
  const parts = { store, clock: systemClock, log: silentLog, policy, agentAt, publish: () => {} };
  const history = new History({ ...parts, held: () => held });
  history.start();
  t.after(() => history.close());
  return { history, of: async (id) => (await migrations.find(id))[0]?.row.told_by };
}

test("a host cannot report on another fleet host's migrations", async (t) => {
  const its = summary({ id: 'm-0000000b', from: 'b', to: 'a' });
  const { history, of } = await reported(t, { a: [summary({})], b: [summary({}), its] });
  history.followed('b');
  await until('its own', 10_000, () => of(its.id));
  assert.equal(await of('m-00000001'), undefined);
  history.followed('a');
  assert.equal(await until('what its source reports', 10_000, () => of('m-00000001')), 'a');
  // Nor how far they are.
  history.heard('b', summary({ percent: 99 }));
  history.heard('a', summary({ percent: 20 }));
  const { percent } = percentAfter(NOTHING, summary({ percent: 20 }));
  assert.equal(history.live.of('a', 'm-00000001').percent, percent);
});

test('an agent of a manager reports moves between hosts without agents', async (t) => {
  const managed = summary({ from: 'esx1', to: 'esx2' });
  const { history, of } = await reported(t, { a: [managed] });
  history.followed('a');
  assert.equal(await until('the move', 10_000, () => of(managed.id)), 'a');
});

test('an open migration belongs to its source alone, whichever host reported it first', async (t) => {
  const { migrations, held } = await stored(t);
  const nowMs = await migrations.nowMs();
  const by = (host: string) => openRow(summary({}), host, nowMs);
  const reporter = async () => (await migrations.find('m-00000001'))[0]?.row.told_by;
  await migrations.write(held, 'c', [by('c')]);
  await migrations.write(held, 'a', [by('a')]);
  assert.equal(await reporter(), 'a');
  const end = summary({ phase: 'cancelled' });
  const ended = (host: string) => endedRow(by(host), end, { nowMs });
  assert.equal((await migrations.write(held, 'c', [by('c'), ended('c')]))?.ended.size, 0);
  assert.equal(await reporter(), 'a');
  // The destination says the end of one whose source is gone, and becomes nobody to ask.
  const other = { ...ended('b'), side: 'destination' };
  assert.equal((await migrations.write(held, 'b', [other]))?.ended.size, 1);
  assert.equal(await reporter(), 'a');
  assert.equal((await migrations.write(held, 'a', [ended('a')]))?.ended.size, 0);
});

test('an id that one host claims hides no migration of another host, whichever reports it first', async (t) => {
  const { store, migrations, held } = await stored(t);
  const nowMs = await migrations.nowMs();
  const end = summary({ phase: 'done', side: 'destination' });
  const hearsay = endedRow(openRow(end, 'b', nowMs), end, { nowMs });
  assert.equal((await migrations.write(held, 'b', [hearsay]))?.ended.size, 1);
  const claimed = summary({ from: 'c', to: 'b', guest: 'mine', phase: 'done' });
  const claim = endedRow(openRow(claimed, 'c', nowMs), claimed, { nowMs });
  assert.equal((await migrations.write(held, 'c', [claim]))?.ended.size, 1);
  // The source’s own word replaces what its destination said of it, and nothing else.
  const real = summary({ to: 'c', guest: 'db1' });
  const written = await migrations.write(held, 'a', [openRow(real, 'a', nowMs)]);
  assert.equal(written?.begun.size, 1);
  const all = await migrations.find('m-00000001');
  assert.deepEqual(
    new Set(
      all.map(({ row }) => [row.told_by, row.source, row.guest, row.ended_at === null].join()),
    ),
    new Set(['a,a,db1,true', 'c,c,mine,false']),
  );
  const again = await migrations.write(held, 'b', [hearsay]);
  assert.deepEqual([again?.begun.size, again?.ended.size], [0, 0]);
  // Which one is meant is never guessed.
  await assert.rejects(
    findMigration(migrations, 'm-00000001'),
    (thrown) => hasCode(thrown, 'GODWIT_MIGRATION_AMBIGUOUS') && /a \(db1\)/.test(thrown.message),
  );
  assert.equal((await findMigration(migrations, 'm-00000001', 'a')).row.guest, 'db1');
  // A move that was asked for is that one.
  await asked(store, { guest: 'db1', source: 'a', destination: 'c' });
  assert.equal((await findMigration(migrations, 'm-00000001')).row.guest, 'db1');
  const { request } = (await findMigration(migrations, 'm-00000001', 'c')).row;
  assert.equal(request, null);
});

test('a claim of another host does not keep an ended migration from the history', async (t) => {
  const { migrations, held } = await stored(t);
  const nowMs = await migrations.nowMs();
  const ends = (host: string, to: string) => {
    const end = summary({ from: host, to, phase: 'done' });
    return endedRow(openRow(end, host, nowMs), end, { nowMs });
  };
  await migrations.write(held, 'c', [ends('c', 'b')]);
  const known = await migrations.known('a', [{ id: 'm-00000001', from: 'a' }]);
  assert.equal(known.size, 0);
  assert.equal((await migrations.write(held, 'a', [ends('a', 'b')]))?.ended.size, 1);
});

test('a host has no more than a thousand open migrations in the history', async (t) => {
  const { migrations, held } = await stored(t);
  const nowMs = await migrations.nowMs();
  const rows = Array.from({ length: 1003 }, (_none, nth) =>
    openRow(summary({ id: `m-${String(nth).padStart(8, '0')}` }), 'a', nowMs),
  );
  assert.equal((await migrations.write(held, 'a', rows))?.begun.size, 1000);
  assert.equal((await migrations.openOf('a')).length, 1000);
  const other = openRow(summary({ from: 'b', to: 'a' }), 'b', nowMs);
  assert.equal((await migrations.write(held, 'b', [other]))?.begun.size, 1);
});

test('the id of a requested move belongs to that move alone', async (t) => {
  const { store, migrations, held } = await stored(t);
  await asked(store, { guest: 'web1', source: 'a', destination: 'b' });
  const nowMs = await migrations.nowMs();
  const row = openRow(summary({ from: 'c', to: 'b' }), 'c', nowMs);
  assert.equal((await migrations.write(held, 'c', [row]))?.begun.size, 0);
  const own = openRow(summary({}), 'a', nowMs);
  assert.equal((await migrations.write(held, 'a', [own]))?.begun.size, 1);
});

test('a completed report replaces the report of the end, but only from the same host', async (t) => {
  const { migrations, held } = await stored(t);
  const nowMs = await migrations.nowMs();
  const end = summary({ phase: 'done' });
  const row = { ...endedRow(openRow(end, 'a', nowMs), end, { nowMs }), report: 'of the end' };
  await migrations.write(held, 'a', [openRow(end, 'a', nowMs), row]);
  const kept = async () => (await migrations.find(end.id))[0]?.report;
  assert.equal(await kept(), 'of the end');
  await migrations.complete(held, 'b', end.id, 'of another host');
  await migrations.complete(new Map(), 'a', end.id, 'of another controller');
  assert.equal(await kept(), 'of the end');
  assert.deepEqual(await migrations.reportsSince('a', nowMs - 60_000, 10), ['of the end']);
  assert.deepEqual(await migrations.reportsSince('b', nowMs - 60_000, 10), []);
  assert.deepEqual(await migrations.reportsSince('a', nowMs + 60_000, 10), []);
  await migrations.complete(held, 'a', end.id, 'completed');
  assert.equal(await kept(), 'completed');
});
