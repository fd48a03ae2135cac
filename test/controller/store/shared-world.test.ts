import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeLimits } from '../../../src/controller/store/limits.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { SharedWorld } from '../../../src/controller/store/shared-world.ts';
import { Requests } from '../../../src/controller/store/requests.ts';
import { silentLog } from '../../../src/log.ts';
import { drainOf } from '../requests/worlds.ts';

const inStore = async (
  work: (store: Store, readings: () => number) => Promise<void>,
): Promise<void> => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  let readings = 0;
  const counted: Store = {
    ...store,
    transaction: (of) => {
      readings += 1;
      return store.transaction(of);
    },
  };
  try {
    await work(counted, () => readings);
  } finally {
    await store.close();
  }
};

test('many requests that look at once share one reading, and a later look has another', () =>
  inStore(async (store, readings) => {
    let nowMs = 0;
    const shared = new SharedWorld(store, () => nowMs);
    const looks = await Promise.all(Array.from({ length: 100 }, () => shared.at(0)));
    assert.equal(new Set(looks).size, 1);
    nowMs += 299;
    assert.equal(await shared.at(0), looks[0]);
    nowMs += 1;
    assert.notEqual(await shared.at(0), looks[0]);
    assert.equal(readings(), 2);
  }));

test('a reader that has seen the new count gets the mark, the limit or the promise', () =>
  inStore(async (store) => {
    const shared = new SharedWorld(store, () => 0);
    const before = await shared.at(0);
    await new Requests(store).add(drainOf('a'));
    assert.equal(await shared.at(before.admission), before);
    const after = await shared.at(before.admission + 1);
    assert.deepEqual([...after.marks.keys()], ['a']);
    await changeLimits(store, { fleet: 7, links: [], hosts: [] });
    assert.equal((await shared.at(after.admission + 1)).limits.fleet, 7);
  }));

test('a reading that began before a promise does not serve a caller that has seen the promise', () =>
  inStore(async (store) => {
    const shared = new SharedWorld(store, () => 0);
    const early = shared.at(0);
    const adding = new Requests(store).add(drainOf('a'));
    const late = adding.then(() => shared.at(1));
    assert.deepEqual([...(await late).marks.keys()], ['a']);
    assert.ok((await early).admission <= 1);
  }));
