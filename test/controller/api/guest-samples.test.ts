import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { GuestSamplesReader } from '../../../src/controller/api/guest-samples.ts';
import { guestRowOf } from '../../../src/controller/inventory/pending.ts';
import { shardOf } from '../../../src/controller/inventory/shards.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { hasCode } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { guestInfo } from '../../../src/protocol/public/hosts/host.ts';

const look = (guests: Record<string, number>) => ({ used: 0, pressure: 0, cores: 8, guests });
type Request = Parameters<GuestSamplesReader['read']>[0];

test('the load of a guest is read from all hosts that it was on, oldest first', async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const info = guestInfo.parse({ name: 'g1', host: 'b', driver: 'qemu', state: 'running' });
  const row = { ...guestRowOf('b', info), changed_at: 1, epoch: 1 };
  await store.db.insertInto('guests').values(row).execute();
  await store.db
    .insertInto('migrations')
    .values({
      id: 'm-0123456789ab',
      guest: 'g1',
      source: 'a',
      destination: 'b',
      mode: 'precopy',
      told_by: 'a',
      side: 'source',
      started_at: 250,
      ended_at: 260,
      outcome: 'done',
      epoch: 1,
    })
    .execute();
  const rows = [
    { host: 'a', span: 'look', at: 100, body: { a: look({ g1: 0.5, g2: 3 }) } },
    { host: 'a', span: 'look', at: 200, body: { a: look({ g1: 0.25 }) } },
    { host: 'b', span: 'look', at: 200, body: { b: look({ g1: 0.75 }) } },
    { host: 'b', span: 'look', at: 300, body: { b: look({ g2: 1 }) } },
    { host: 'b', span: 'guests', at: 0, body: { g1: 2 } },
  ];
  await store.db
    .insertInto('rollups')
    .values(
      rows.map(({ host, body, ...each }) => ({
        ...each,
        shard: shardOf(host),
        body: JSON.stringify(body),
      })),
    )
    .execute();
  const reader = new GuestSamplesReader(store, systemClock);
  const points = async (guest: string, span: 'look' | 'hour') => {
    const call = { params: { guest }, query: { span }, caller: { name: 'ann', role: 'viewer' } };
    const found = await reader.read(call as Request);
    return found.points.map(({ at, cores }) => [Date.parse(at), cores]);
  };
  assert.notEqual(shardOf('a'), shardOf('b'));
  assert.deepEqual(await points('g1', 'look'), [
    [100, 0.5],
    [200, 0.75],
  ]);
  assert.deepEqual(await points('g1', 'hour'), [[0, 2]]);
  await assert.rejects(points('none', 'look'), (thrown) => hasCode(thrown, 'GODWIT_GUEST_UNKNOWN'));
});
