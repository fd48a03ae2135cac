import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStore } from '../../../src/controller/store/open.ts';
import { OtherWishes } from '../../../src/controller/store/other-wishes.ts';
import { Wishes } from '../../../src/controller/store/wishes.ts';
import { DEFAULT_LIMITS } from '../../../src/controller/wishes/facts.ts';
import type { WaitsFor, Wish } from '../../../src/protocol/controller/wish.ts';
import { silentLog } from '../../../src/log.ts';
import { drainOf } from '../wishes/worlds.ts';

const limits = { ...DEFAULT_LIMITS, fleet: 1 };
const queued = (wish: Wish, ...all: WaitsFor[]): Wish => {
  const queue = all.map((waitsFor) => ({ guest: 'g1', from: 'a', waitsFor, words: 'it waits' }));
  return { ...wish, queue };
};

test('a wish that waits for the limit of the fleet is read again once it was written, and not before', async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const wish = queued(drainOf('a'), 'fleet-limit', 'turn', 'memory');
  await new Wishes(store).add(wish);
  const others = new OtherWishes();
  const look = () => store.transaction((db) => others.of(db, [], limits));
  const found = { wish: wish.id, priority: 0, running: 0 };
  assert.deepEqual(await look(), [{ ...found, waiting: 2 }]);
  const write = (set: { body: string; version?: number; ended_at?: number }) =>
    store.db.updateTable('wishes').set(set).execute();
  await write({ body: 'what nobody can read' });
  assert.deepEqual(await look(), [{ ...found, waiting: 2 }]);
  const body = JSON.stringify(queued(wish, 'turn'));
  await write({ body, version: 1 });
  assert.deepEqual(await look(), [{ ...found, waiting: 1 }]);
  await write({ body, ended_at: 5 });
  assert.deepEqual(await look(), []);
});

test('far from the limit of the fleet no other wish is looked at', async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  await new Wishes(store).add(queued(drainOf('a'), 'turn'));
  const of = new OtherWishes();
  assert.deepEqual(await store.transaction((db) => of.of(db, [], DEFAULT_LIMITS)), []);
});
