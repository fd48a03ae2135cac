import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { SETTLED_MS } from '../../../src/controller/inventory/claims.ts';
import { Conflicts } from '../../../src/controller/inventory/conflicts.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { silentLog } from '../../../src/log.ts';
import type { FleetNews } from '../../../src/protocol/controller/events.ts';

test("two hosts that claim one guest are judged by the database's clock, whatever the controller's clock", async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const claim = { name: 'web1', uuid: 'u-1', state: 'running', driver: 'qemu', info: '{}' };
  const row = { ...claim, memory_bytes: null, vcpus: null, epoch: 1 };
  const changed_at = Date.now() - SETTLED_MS - 1000;
  const rows = ['a', 'b'].map((host) => ({ ...row, host, changed_at }));
  await store.db.insertInto('guests').values(rows).execute();
  let atMs = 0;
  const clock = { ...systemClock, wallMs: () => 1, monotonicMs: () => atMs };
  const reported: FleetNews[] = [];
  const conflicts = new Conflicts(store, clock, silentLog, (news) => reported.push(news));
  conflicts.look(rows);
  atMs = 2 * SETTLED_MS;
  await conflicts.turn();
  assert.deepEqual(reported, [{ type: 'conflict', name: 'web1', hosts: ['a', 'b'] }]);
});

test('a host that changes its report again and again hides no second copy of a guest', async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const claim = { name: 'web1', uuid: 'u-1', state: 'running', driver: 'qemu', info: '{}' };
  const row = { ...claim, memory_bytes: null, vcpus: null, epoch: 1 };
  const rows = [
    { ...row, host: 'a', changed_at: 0 },
    { ...row, host: 'evil', changed_at: Date.now() + 60_000 },
  ];
  await store.db.insertInto('guests').values(rows).execute();
  let atMs = 0;
  const clock = { ...systemClock, monotonicMs: () => atMs };
  const reported: FleetNews[] = [];
  const conflicts = new Conflicts(store, clock, silentLog, (news) => reported.push(news));
  const conflict = { type: 'conflict', name: 'web1', hosts: ['a', 'evil'] };
  for (const step of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
    atMs = step * 5000;
    conflicts.look(rows.slice(1));
    await conflicts.turn();
    // A move has two ends for a moment: one look, or two, decide nothing.
    if (atMs <= 25_000) assert.deepEqual(reported, []);
  }
  assert.deepEqual(reported, [conflict]);
});
