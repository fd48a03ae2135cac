import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../../src/clock.ts';
import { Carrier } from '../../../src/controller/engine/carrier.ts';
import { RequestLoop } from '../../../src/controller/engine/loop.ts';
import type { Claim, FleetView } from '../../../src/controller/engine/ports.ts';
import type { Sight } from '../../../src/controller/requests/settle.ts';
import { emptyHosts } from './empty-hosts.ts';
import { noModes } from './no-modes.ts';
import type { HostHeard } from '../../../src/controller/requests/occupancy.ts';
import { Mutex } from '../../../src/mutex.ts';
import { silentLog } from '../../../src/log.ts';
import { until } from '../../until.ts';
import { drainOf, guest, host, moveOf, NOW } from '../requests/worlds.ts';
import { MemoryStore } from './memory-store.ts';

const silent = async () => ({ seen: 'silent' }) as const;
const agents = { put: silent, cancel: silent, look: silent };
const unasked = async () => assert.fail('no roll is asked for');
const roll = { host: unasked, program: unasked };

test('a request that waits for the fleet does not keep a controller from the next one', async () => {
  const store = new MemoryStore();
  store.add(drainOf('silent'));
  store.add({ ...drainOf('empty'), id: 'r-00000002' });
  const hosts = [host('silent', { silentSinceMs: NOW }), host('empty')];
  const look = async () => ({
    hosts: new Map(hosts.map((each) => [each.name, each])),
    guests: new Map(),
    labels: new Map(),
  });
  const loop = new RequestLoop({
    store,
    agents,
    fleet: { look },
    roll,
    modes: noModes,
    hosts: emptyHosts,
    newId: () => 'm-00000001',
    clock: systemClock,
    log: silentLog,
    owner: 'one',
    most: 1,
  });
  loop.start();
  try {
    const phase = (id: string) => store.rows.get(id)?.request.phase;
    await until('the second drain', 5000, async () => phase('r-00000002') === 'done' || undefined);
    assert.equal(phase('r-00000001'), 'working');
  } finally {
    await loop.close();
  }
});

test("a drain is done by a look at the fleet that is newer than the store's record", async () => {
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
    hosts: emptyHosts,
    newId,
    leaseMs: 1000,
    turns: new Mutex(),
  });
  assert.equal(await carrier.round(), 'again');
  assert.equal(store.rows.get(claim.request)?.request.phase, 'working');
});

test('a host that does not answer whether it is empty delays no other request', async () => {
  const store = new MemoryStore();
  store.add(drainOf('a'));
  const claim = (await store.acquire('one', 1000)) ?? assert.fail();
  let looks = 0;
  // The guest is gone when the move to begin is decided a second time.
  const look = async () => {
    looks += 1;
    return {
      hosts: new Map(['a', 'b'].map((name) => [name, host(name)])),
      guests: new Map(looks === 1 ? [['g1', guest('g1', 'a')]] : []),
      labels: new Map(),
    };
  };
  const turns = new Mutex();
  const asked = Promise.withResolvers<string>();
  const answer = Promise.withResolvers<HostHeard>();
  const occupancy = (name: string) => {
    asked.resolve(name);
    return answer.promise;
  };
  const carrier = new Carrier(claim, {
    store,
    agents,
    fleet: { look },
    roll,
    modes: noModes,
    hosts: { ...emptyHosts, occupancy },
    newId: () => 'm-00000001',
    leaseMs: 1000,
    turns,
  });
  const round = carrier.round();
  assert.equal(await asked.promise, 'a');
  let isOthersTurn = false;
  void turns.run(async () => (isOthersTurn = true));
  await new Promise(setImmediate);
  assert.ok(isOthersTurn);
  assert.equal(looks, 2);
  answer.resolve({ of: 'host', occupancy: { guests: [], underWay: [] } });
  assert.equal(await round, 'ended');
});

test('the claims of all requests are renewed in one write while their rounds wait longer than a lease', async () => {
  const store = new MemoryStore();
  store.add(drainOf('a'));
  store.add({ ...drainOf('b'), id: 'r-00000002' });
  const renewed: Claim[][] = [];
  store.renewAll = async (claims) => void renewed.push([...claims]);
  const waiting = Promise.withResolvers<Awaited<ReturnType<FleetView['look']>>>();
  const fleet = { look: () => waiting.promise };
  const newId = (): string => 'm-00000001';
  const parts = {
    store,
    agents,
    fleet,
    roll,
    modes: noModes,
    hosts: emptyHosts,
    newId,
    log: silentLog,
  };
  const loop = new RequestLoop({ ...parts, clock: systemClock, owner: 'one', leaseMs: 40 });
  loop.start();
  const both = await until('both claims', 5000, async () =>
    renewed.find((claims) => claims.length === 2),
  );
  assert.deepEqual(both.map(({ request }) => request).toSorted(), ['r-00000001', 'r-00000002']);
  waiting.resolve({ hosts: new Map(), guests: new Map(), labels: new Map() });
  await loop.close();
});

test('the decisions of many requests leave turns of the event loop to other callers', async () => {
  const store = new MemoryStore();
  const requests = Array.from({ length: 8 }, (_none, at) => `r-0000000${at + 1}`);
  for (const id of requests) store.add({ ...drainOf(id), id });
  const hosts = new Map(requests.map((id) => [id, host(id)]));
  const shared = Promise.withResolvers<Awaited<ReturnType<FleetView['look']>>>();
  let waiting = 0;
  const look = () => {
    waiting += 1;
    return shared.promise;
  };
  let turn = 0;
  const decided: number[] = [];
  const newId = (): string => {
    if (decided.at(-1) !== turn) decided.push(turn);
    for (const untilMs = performance.now() + 0.2; performance.now() < untilMs;);
    return 'm-00000001';
  };
  const parts = {
    store,
    agents,
    fleet: { look },
    roll,
    modes: noModes,
    hosts: emptyHosts,
    newId,
    log: silentLog,
  };
  const loop = new RequestLoop({ ...parts, clock: systemClock, owner: 'one' });
  loop.start();
  await until('all to wait', 5000, async () => waiting === requests.length || undefined);
  const ticks = setInterval(() => (turn += 1), 1);
  try {
    shared.resolve({ hosts, guests: new Map(), labels: new Map() });
    await until('decisions', 5000, async () => decided.length >= requests.length || undefined);
    assert.ok(turn >= requests.length - 1);
  } finally {
    clearInterval(ticks);
    await loop.close();
  }
});

test('the next round need not wait once an agent reports the end of a move', async () => {
  const store = new MemoryStore();
  store.add(drainOf('a'));
  store.moves.set('m-00000001', moveOf());
  const claim = (await store.acquire('one', 1000)) ?? assert.fail();
  const hosts = new Map(['a', 'b'].map((name) => [name, host(name)]));
  const known = { hosts, guests: new Map([['g1', guest('g1', 'a')]]), labels: new Map() };
  let answer = Promise.withResolvers<Sight>();
  const carrier = new Carrier(claim, {
    store,
    agents: { ...agents, look: () => answer.promise },
    fleet: { look: () => Promise.resolve(known) },
    roll,
    modes: noModes,
    hosts: emptyHosts,
    newId: () => 'm-00000002',
    leaseMs: 1000,
    turns: new Mutex(),
  });
  const mayGoOn = () => Promise.race([carrier.ended.then(() => true), pause(5, false)]);
  assert.equal(await carrier.round(), 'wait');
  assert.equal(carrier.underway, 1);
  answer.resolve({ seen: 'going' });
  assert.equal(await mayGoOn(), false);
  answer = Promise.withResolvers();
  await carrier.round();
  assert.equal(await carrier.round(), 'wait');
  answer.resolve({ seen: 'done' });
  assert.equal(await mayGoOn(), true);
});
