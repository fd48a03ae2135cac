import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStore } from '../../../src/controller/store/open.ts';
import { OtherRequests } from '../../../src/controller/store/other-requests.ts';
import { Requests } from '../../../src/controller/store/requests.ts';
import { DEFAULT_LIMITS } from '../../../src/controller/requests/facts.ts';
import type { WaitsFor, FleetRequest } from '../../../src/protocol/controller/fleet-request.ts';
import { silentLog } from '../../../src/log.ts';
import { drainOf } from '../requests/worlds.ts';

const limits = { ...DEFAULT_LIMITS, fleet: 1 };
const queued = (request: FleetRequest, ...all: WaitsFor[]): FleetRequest => {
  const queue = all.map((waitsFor) => ({ guest: 'g1', from: 'a', waitsFor, words: 'it waits' }));
  return { ...request, queue };
};

test("a request that waits for the fleet's limit is read again once it was written, and not before", async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const request = queued(drainOf('a'), 'fleet-limit', 'turn', 'memory');
  await new Requests(store).add(request);
  const others = new OtherRequests();
  const look = () => store.transaction((db) => others.of(db, [], limits));
  const found = { request: request.id, priority: 0, running: 0 };
  assert.deepEqual(await look(), [{ ...found, waiting: 2 }]);
  const write = (set: { body: string; version?: number; ended_at?: number }) =>
    store.db.updateTable('requests').set(set).execute();
  await write({ body: 'what nobody can read' });
  assert.deepEqual(await look(), [{ ...found, waiting: 2 }]);
  const body = JSON.stringify(queued(request, 'turn'));
  await write({ body, version: 1 });
  assert.deepEqual(await look(), [{ ...found, waiting: 1 }]);
  await write({ body, ended_at: 5 });
  assert.deepEqual(await look(), []);
});

test("other requests are not examined far from the fleet's limit", async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  await new Requests(store).add(queued(drainOf('a'), 'turn'));
  const of = new OtherRequests();
  assert.deepEqual(await store.transaction((db) => of.of(db, [], DEFAULT_LIMITS)), []);
});
