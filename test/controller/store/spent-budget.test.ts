import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStore } from '../../../src/controller/store/open.ts';
import { Requests } from '../../../src/controller/store/requests.ts';
import { silentLog } from '../../../src/log.ts';
import { drainOf, moveOf } from '../requests/worlds.ts';

test('the spent budget of a request is the larger of the predicted and the reported bytes of its moves', async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const requests = new Requests(store);
  const request = drainOf('a', { budgetBytes: 5000 });
  await requests.add(request);
  const claim = await requests.acquire('one', 60_000);
  assert.ok(claim !== undefined);
  const spent = async () => (await requests.view(claim, 60_000))?.world.spentBytes;
  assert.equal(await spent(), 0);
  const ended = moveOf({ id: 'm-00000001', phase: 'done', endedAtMs: 5, bytes: 1000 });
  const moves = [
    ended,
    moveOf({ id: 'm-00000002', guest: 'g2', bytes: 200 }),
    moveOf({ id: 'm-00000003', guest: 'g3', phase: 'dropped', endedAtMs: 5, bytes: 30 }),
  ];
  await requests.commit(claim, { request, version: 0, moves });
  assert.equal(await spent(), 1200);
  const fixed = { guest: 'g1', source: 'a', destination: 'b', mode: 'precopy', epoch: 1 };
  const reported = { ...fixed, told_by: 'a', side: 'source', started_at: 1, ended_at: 5 };
  const row = { ...reported, id: ended.id, bytes: 1700 };
  await store.db.insertInto('migrations').values(row).execute();
  assert.equal(await spent(), 1900);
  // Of a guest with disks: the history has its memory alone.
  await store.db.updateTable('migrations').set({ bytes: 100 }).execute();
  assert.equal(await spent(), 1200);
});
