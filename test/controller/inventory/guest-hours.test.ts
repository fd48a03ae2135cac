import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  hourMeans,
  usualNextHour,
  writeGuestHours,
} from '../../../src/controller/inventory/guest-hours.ts';
import { LOOK_MS } from '../../../src/controller/inventory/guest-looks.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { silentLog } from '../../../src/log.ts';

const HOUR_MS = 3_600_000;
const look = (guests: Record<string, number>) => ({ used: 0.1, pressure: 0, cores: 8, guests });

async function open(t: TestContext): Promise<{ store: Store; hour: number }> {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  return { store, hour: Math.floor(Date.now() / HOUR_MS) * HOUR_MS };
}

const put = (store: Store, shard: number, span: string, at: number, body: object) =>
  store.db
    .insertInto('rollups')
    .values({ shard, span, at, body: JSON.stringify(body) })
    .execute();

const written = (store: Store) =>
  store.db
    .selectFrom('rollups')
    .selectAll()
    .where('span', '=', 'guests')
    .orderBy('shard')
    .execute();

test('an hour has the mean of the looks that report a guest; of two simultaneous reports the larger counts', () => {
  const means = hourMeans([
    { a: look({ g1: 1, g2: 4 }), b: look({ g1: 3 }) },
    { a: look({}), b: look({ g1: 1 }) },
  ]);
  assert.deepEqual(means, { g1: 2, g2: 4 });
});

test('finished hours are written once per shard, and the written rows stay', async (t) => {
  const { store, hour } = await open(t);
  const over = hour - 2 * HOUR_MS;
  await put(store, 1, 'look', over, { a: look({ g1: 1 }) });
  await put(store, 1, 'look', over + LOOK_MS, { a: look({ g1: 2 }) });
  await put(store, 2, 'look', over, { b: look({ g2: 5 }) });
  // Of an hour that still goes on.
  await put(store, 1, 'look', hour, { a: look({ g1: 7 }) });
  await writeGuestHours(store);
  const first = await written(store);
  assert.deepEqual(
    first.map(({ shard, at, body }) => [shard, at, body]),
    [
      [1, over, '{"g1":1.5}'],
      [2, over, '{"g2":5}'],
    ],
  );
  await put(store, 1, 'look', over + 2 * LOOK_MS, { a: look({ g1: 8 }) });
  await writeGuestHours(store);
  assert.deepEqual(await written(store), first);
});

test('the usual load of the next hour is the mean of that hour on earlier days, wherever the guest was', async (t) => {
  const { store, hour } = await open(t);
  const next = hour + HOUR_MS;
  for (const [day, cores] of [2, 4, 6].entries()) {
    const at = next - (day + 1) * 24 * HOUR_MS;
    await put(store, day, 'guests', at, { g1: cores });
    await put(store, 9, 'guests', at, { g1: 1, g2: 3 });
    // Of the hour before it, and of a day too long ago.
    await put(store, day, 'guests', at - HOUR_MS, { g1: 8 });
    await put(store, day, 'guests', at - 8 * 24 * HOUR_MS, { g1: 8 });
  }
  await put(store, 1, 'guests', next - 5 * 24 * HOUR_MS, { new: 1 });
  assert.deepEqual(Object.fromEntries(await usualNextHour(store)), { g1: 4, g2: 3 });
});
