import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { Carrier } from '../../../src/controller/engine/carrier.ts';
import { WishLoop } from '../../../src/controller/engine/loop.ts';
import { noModes } from './no-modes.ts';
import { silentLog } from '../../../src/log.ts';
import { until } from '../../until.ts';
import { drainOf, guest, host, NOW } from '../wishes/worlds.ts';
import { MemoryStore } from './memory-store.ts';

const silent = async () => ({ seen: 'silent' }) as const;
const agents = { put: silent, cancel: silent, look: silent };
const unasked = async () => assert.fail('no roll is asked for');
const roll = { host: unasked, program: unasked };

test('a wish that waits for the fleet keeps no controller from the next one', async () => {
  const store = new MemoryStore();
  store.add(drainOf('silent'));
  store.add({ ...drainOf('empty'), id: 'w-00000002' });
  const hosts = [host('silent', { silentSinceMs: NOW }), host('empty')];
  const look = async () => ({
    hosts: new Map(hosts.map((each) => [each.name, each])),
    guests: new Map(),
    labels: new Map(),
  });
  const loop = new WishLoop({
    store,
    agents,
    fleet: { look },
    roll,
    modes: noModes,
    newId: () => 'm-00000001',
    clock: systemClock,
    log: silentLog,
    owner: 'one',
    most: 1,
  });
  loop.start();
  try {
    const phase = (id: string) => store.rows.get(id)?.wish.phase;
    await until('the second drain', 5000, async () => phase('w-00000002') === 'done' || undefined);
    assert.equal(phase('w-00000001'), 'working');
  } finally {
    await loop.close();
  }
});

test('a drain is done by a look at the fleet that is younger than what the store said', async () => {
  const store = new MemoryStore();
  store.add(drainOf('a'));
  const claim = (await store.acquire('one', 1000)) ?? assert.fail();
  const look = async (when?: 'now') => ({
    hosts: new Map(['a', 'b'].map((name) => [name, host(name)])),
    guests: new Map(when === 'now' ? [['g1', guest('g1', 'a')]] : []),
    labels: new Map(),
  });
  const newId = (): string => 'm-00000001';
  const carrier = new Carrier(claim, {
    store,
    agents,
    fleet: { look },
    roll,
    modes: noModes,
    newId,
    leaseMs: 1000,
  });
  assert.equal(await carrier.round(), 'again');
  assert.equal(store.rows.get(claim.wish)?.wish.phase, 'working');
});
