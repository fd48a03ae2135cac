import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { openStore } from '../../../src/controller/store/open.ts';
import { hasCode } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import type { FleetNews } from '../../../src/protocol/controller/events.ts';
import type { MigrationNews } from '../../../src/protocol/controller/history.ts';
import { fleet, guest } from '../../agent/samples.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { until } from '../../until.ts';
import { controllerOf } from '../test-controller.ts';
import { summary } from './hosts.ts';

test('the history has migrations that people began at an agent: earlier ones, active ones, and their ends', async (t) => {
  const { host, caDir } = await fleet(t);
  const a = await host('a', {
    guests: () => [guest('web1'), guest('web2')],
    peers: { b: { address: '127.0.0.1:1' } },
  });
  // While no controller ran.
  const first = (await a.api.migrate({ body: { guest: 'web1', to: 'b' } })).id;
  await a.movers.fail(first);
  await until('its end', 10_000, async () =>
    (await a.api.migration({ params: { id: first } })).phase === 'cancelled' ? true : undefined,
  );
  const sqlite = path.join(tempDir(t), 'controller.db');
  const hosts = { a: { address: a.agent.address, addresses: [] } };
  const { api, controller } = await controllerOf(t, caDir, { hosts, database: { sqlite } });
  const listed = async () => (await api.migrations()).migrations;
  await until('the earlier one', 20_000, async () => (await listed())[0]);
  const [before] = await listed();
  assert.deepEqual([before?.id, before?.state, before?.outcome], [first, 'ended', 'cancelled']);
  const kept = await api.migration({ params: { id: first } });
  assert.equal(kept.report?.outcome, 'cancelled');

  const news: FleetNews[] = [];
  const stop = new AbortController();
  t.after(() => stop.abort());
  const hearing = (async () => {
    for await (const each of api.events({}, { signal: stop.signal })) news.push(each);
  })().catch(() => {});
  await until('the stream', 5000, async () => news[0]);
  const second = (await a.api.migrate({ body: { guest: 'web2', to: 'b' } })).id;
  await until('the one that goes on', 20_000, async () =>
    (await listed()).length === 2 ? true : undefined,
  );
  const open = await api.migration({ params: { id: second } });
  assert.deepEqual([open.state, open.guest, open.report?.outcome], ['open', 'web2', 'running']);
  assert.equal(open.progress?.id, second);

  const reported: MigrationNews[] = [];
  const relayed = (async () => {
    const stream = api.migrationEvents({ params: { id: second } }, { signal: stop.signal });
    for await (const each of stream) reported.push(each);
  })();
  await until('its progress', 10_000, async () => reported[0]);
  assert.equal((await api.cancelMigration({ params: { id: second } })).accepted, true);
  await a.movers.fail(second);
  await relayed;
  assert.deepEqual([reported[0]?.type, reported.at(-1)?.type], ['progress', 'ended']);
  assert.ok(reported.some((each) => each.type === 'report' && each.report.outcome === 'cancelled'));
  const ended = await until('the news of its end', 10_000, async () =>
    news.find((each) => each.type === 'migration' && each.what === 'ended'),
  );
  assert.ok(ended.type === 'migration' && ended.migration.id === second);
  const of = (what: string) =>
    news.filter((each) => each.type === 'migration' && each.what === what).length;
  assert.deepEqual([of('begun'), of('ended')], [1, 1]);
  stop.abort();
  await hearing;

  const page = await api.migrations({ query: { limit: 1 } });
  assert.deepEqual(
    page.migrations.map(({ id }) => id),
    [second],
  );
  const rest = await api.migrations({ query: { limit: 1, cursor: page.next } });
  assert.deepEqual(
    rest.migrations.map(({ id }) => id),
    [first],
  );
  assert.equal((await api.migrations({ query: { guest: 'web1' } })).migrations.length, 1);
  assert.equal((await api.migrations({ query: { host: 'zz' } })).migrations.length, 0);
  assert.equal((await api.migrations({ query: { outcome: 'done' } })).migrations.length, 0);
  const { count, outcomes } = await api.insight();
  assert.deepEqual([count, outcomes], [2, [{ outcome: 'cancelled', count: 2 }]]);
  const story = await api.guestHistory({ params: { guest: 'web1' } });
  assert.deepEqual(
    story.stays.map(({ host: at, tries }) => [at, tries.map(({ migration }) => migration)]),
    [['a', [first]]],
  );
  const unknown = api.migration({ params: { id: 'm-00000000' } });
  await assert.rejects(unknown, (thrown) => hasCode(thrown, 'GODWIT_MIGRATION_UNKNOWN'));

  // Another controller of the same database finds nothing that is new.
  await controller.close();
  const again = await controllerOf(t, caDir, { hosts, database: { sqlite } });
  await until('the host to be followed', 20_000, async () =>
    (await again.api.hosts()).hosts[0]?.state === 'up' ? true : undefined,
  );
  assert.equal((await again.api.migrations()).migrations.length, 2);
});

test('an impossible record is kept out: an id stays the migration that it was', async (t) => {
  const { Migrations } = await import('../../../src/controller/store/migrations.ts');
  const { openRow, endedRow } = await import('../../../src/controller/history/record.ts');
  const { shardOf } = await import('../../../src/controller/inventory/shards.ts');
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const shard = shardOf('a');
  const lease = { shard, owner: 'one', epoch: 7, lease_until: Date.now() + 60_000 };
  await store.db.insertInto('host_leases').values(lease).execute();
  const migrations = new Migrations(store);
  const ahead = summary(1, { startedAt: '2999-01-01T00:00:00.000Z' });
  const nowMs = await migrations.nowMs();
  const row = endedRow(openRow(ahead, 'a', nowMs), ahead, { nowMs });
  // A host’s clock that runs ahead puts nothing into the future.
  assert.equal(row.started_at, nowMs);
  assert.equal(row.ended_at, nowMs);
  assert.equal(await migrations.write(new Map([[shard, 6]]), 'a', [row]), undefined);
  const held = new Map([[shard, 7]]);
  const news = await migrations.write(held, 'a', [row]);
  assert.deepEqual([news?.begun.size, news?.ended.size], [1, 1]);
  const again = await migrations.write(held, 'a', [row, { ...row, outcome: 'failed' }]);
  assert.deepEqual([again?.begun.size, again?.ended.size], [0, 0]);
  const other = await migrations.write(held, 'a', [{ ...row, guest: 'db1', outcome: 'lost' }]);
  assert.equal(other?.ended.size, 0);
  const [found] = await migrations.find('m-00000001');
  assert.deepEqual([found?.row.guest, found?.row.outcome], ['web1', 'done']);
});
