import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Carrier } from '../../../src/controller/engine/carrier.ts';
import type { AgentCalls, Claim, FleetView } from '../../../src/controller/engine/ports.ts';
import { openStore, type StorePlace } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { readShared } from '../../../src/controller/store/shared-world.ts';
import { Requests } from '../../../src/controller/store/requests.ts';
import { stillPromised } from '../../../src/controller/requests/room.ts';
import type { MoveAnswer } from '../../../src/controller/requests/moves.ts';
import type { Move, FleetRequest } from '../../../src/protocol/controller/fleet-request.ts';
import { silentLog } from '../../../src/log.ts';
import { Mutex } from '../../../src/mutex.ts';
import { emptyHosts } from '../engine/empty-hosts.ts';
import { noModes } from '../engine/no-modes.ts';
import { drainOf, GIB, guest, host, moveOf } from '../requests/worlds.ts';
import { until } from '../../until.ts';

const LEASE_MS = 60_000;
const DRAINS = 12;
const sources = Array.from({ length: DRAINS }, (_none, nth) => `s${nth}`);
const ROOM: Readonly<Record<string, number>> = { d: 3, e: 4 };

/** What holds of leases and of promised room, whatever keeps them. `make` gives an empty database to each test. */
export function promisesSuite(name: string, make: () => Promise<StorePlace>): void {
  describe(`claims and promises in ${name}`, () => {
    test('a look renews a claim only once half of its lease is over', () =>
      opened(1, make, async ([store]) => {
        const requests = new Requests(store);
        await requests.add(drainOf('a'));
        const claim = (await requests.acquire('one', LEASE_MS)) ?? assert.fail();
        const leaseUntil = async () =>
          (await store.db.selectFrom('claims').select('lease_until').executeTakeFirstOrThrow())
            .lease_until;
        const first = await leaseUntil();
        await requests.view(claim, LEASE_MS);
        assert.equal(await leaseUntil(), first);
        const lease_until = first - LEASE_MS / 2 - 1;
        await store.db.updateTable('claims').set({ lease_until }).execute();
        await requests.view(claim, LEASE_MS);
        assert.ok((await leaseUntil()) >= first);
      }));

    test('claims are renewed together, except for those of another controller', () =>
      opened(1, make, async ([store]) => {
        const requests = new Requests(store);
        await requests.add(drainOf('a'));
        await requests.add({ ...drainOf('b'), id: 'r-00000002' });
        const lost = (await requests.acquire('one', 0)) ?? assert.fail();
        const taken = (await requests.acquire('two', LEASE_MS)) ?? assert.fail();
        const own = (await requests.acquire('one', LEASE_MS)) ?? assert.fail();
        assert.deepEqual([taken.request, own.request], [lost.request, 'r-00000002']);
        await store.db.updateTable('claims').set({ lease_until: 1 }).execute();
        await requests.renewAll([lost, own], LEASE_MS);
        await requests.renewAll([], LEASE_MS);
        const rows = await store.db.selectFrom('claims').selectAll().execute();
        const ended = rows.filter((each) => each.lease_until === 1).map(({ epoch }) => epoch);
        assert.deepEqual(ended, [taken.epoch]);
      }));

    test('a claim that was released meanwhile is not renewed', () =>
      opened(1, make, async ([store]) => {
        const requests = new Requests(store);
        await requests.add(drainOf('a'));
        const claim = (await requests.acquire('one', LEASE_MS)) ?? assert.fail();
        await requests.release(claim, 0);
        await requests.renewAll([claim], LEASE_MS);
        const again = (await requests.acquire('two', LEASE_MS)) ?? assert.fail();
        assert.equal(again.request, claim.request);
      }));

    test('two controllers whose drains all begin at once promise no room twice, and all the available room', () =>
      opened(2, make, async (stores) => {
        const owners = stores.map((store, nth) => {
          return { owner: `c${nth}`, requests: new Requests(store), turns: new Mutex() };
        });
        const [{ requests } = assert.fail()] = owners;
        for (const [nth, from] of sources.entries())
          await requests.add({ ...drainOf(from), id: `r-${String(nth).padStart(8, '0')}` });
        let ids = 0;
        const newId = (): string => `m-${String((ids += 1)).padStart(8, '0')}`;
        const carriers: Carrier[] = [];
        for (let nth = 0; nth < DRAINS; nth += 1) {
          const { owner, turns, requests: of } = owners[nth % owners.length] ?? assert.fail();
          const claim = (await of.acquire(owner, LEASE_MS)) ?? assert.fail();
          const parts = {
            store: of,
            agents,
            modes: noModes,
            hosts: emptyHosts,
            fleet,
            roll,
            newId,
            turns,
          };
          carriers.push(new Carrier(claim, { ...parts, leaseMs: LEASE_MS }));
        }
        for (let round = 0; round < 6; round += 1) {
          await Promise.all(carriers.map((each) => each.round()));
          const { reservations } = await requests.world();
          for (const [to, most] of Object.entries(ROOM))
            assert.ok(reservations.filter((each) => each.host === to).length <= most);
        }
        const { reservations } = await requests.world();
        const all = Object.values(ROOM).reduce((sum, each) => sum + each, 0);
        assert.equal(reservations.length, all);
      }));

    test('room that a move took is not promised again by a look at the fleet from before its end', () =>
      opened(2, make, async ([one, two = assert.fail()]) => {
        const { early, late } = await looks(one);
        const { first, move } = await settledMove(one, late);
        const other = { ...drainOf('s1', { to: ['d'] }), id: 'r-00000002' };
        // A drain that knows of no such move, and the one whose move it was, taken over by another controller.
        for (const request of [other, first]) {
          const requests = new Requests(two);
          if (request === first)
            await one.db.updateTable('claims').set({ lease_until: 0 }).execute();
          else await requests.add(request);
          const claim = (await requests.acquire('two', LEASE_MS)) ?? assert.fail();
          assert.equal(claim.request, request.id);
          await carrierOf(claim, requests, early).round();
          const { moves } = await requests.get(request.id);
          assert.deepEqual(
            moves.map(({ id }) => id),
            request === first ? [move.id] : [],
          );
          await requests.release(claim, 60_000);
        }
      }));

    test('room that a move took is not a promise any more for a newer look at the fleet', () =>
      opened(1, make, async ([store]) => {
        const { late } = await looks(store);
        await settledMove(store, late);
        const requests = new Requests(store);
        assert.deepEqual((await requests.world()).reservations, []);
        const { reservations } = await readShared(store);
        assert.equal(reservations.length, 1);
        const nowMs = (reservations[0]?.givenBackAtMs ?? 0) + 1;
        const since = { ...late, hosts: new Map(hostsAt(nowMs)) };
        assert.deepEqual(stillPromised(reservations, since), []);
        // The guest has gone on from there.
        assert.deepEqual(stillPromised(reservations, { ...since, guests: new Map() }), []);
        const older = { hosts: new Map(hostsAt(nowMs - 1)), guests: new Map() };
        assert.equal(stillPromised(reservations, older).length, 1);
        await store.db
          .updateTable('reservations')
          .set({ given_back_at: nowMs - 61_000 })
          .execute();
        assert.deepEqual((await readShared(store)).reservations, []);
      }));
  });
}

const hostsAt = (seenAtMs: number) =>
  ['s0', 's1', 'd'].map((name) => {
    const memoryBytes = name === 'd' ? GIB : 4 * GIB;
    return [name, host(name, { seenAtMs, memoryBytes })] as const;
  });

type Look = Awaited<ReturnType<FleetView['look']>>;

/** The fleet before and after g0 has come from s0 to d, where one guest has room. */
async function looks(store: Store): Promise<{ early: Look; late: Look }> {
  const { nowMs } = await new Requests(store).world();
  const hosts = new Map(hostsAt(nowMs));
  const of = (at: string): Look => {
    const guests = new Map([
      ['g0', guest('g0', at)],
      ['g2', guest('g2', 's0')],
      ['g1', guest('g1', 's1')],
    ]);
    return { hosts, guests, labels: new Map() };
  };
  return { early: of('s0'), late: of('d') };
}

/** A drain of s0 whose move is done, and whose guest its controller sees at d. */
async function settledMove(store: Store, late: Look): Promise<{ first: FleetRequest; move: Move }> {
  const requests = new Requests(store);
  const first = drainOf('s0', { to: ['d'] });
  await requests.add(first);
  const claim = (await requests.acquire('one', LEASE_MS)) ?? assert.fail();
  const { request, version, admission } = (await requests.view(claim, LEASE_MS)) ?? assert.fail();
  const { nowMs } = await requests.world();
  const going = moveOf({ guest: 'g0', from: 's0', to: 'd', createdAtMs: nowMs });
  await requests.commit(claim, { request, version, moves: [going], admission });
  const carrier = carrierOf(claim, requests, late, 'done');
  const settled = async (): Promise<Move | undefined> => {
    await carrier.round();
    return (await requests.get(first.id)).moves.find((each) => each.settled);
  };
  return { first, move: await until('a settled move', 5000, settled) };
}

function carrierOf(claim: Claim, store: Requests, look: Look, seen: MoveAnswer = 'going'): Carrier {
  let ids = 1;
  return new Carrier(claim, {
    store,
    agents: { ...agents, look: () => Promise.resolve({ seen }) },
    modes: noModes,
    hosts: emptyHosts,
    fleet: { look: () => Promise.resolve(look) },
    roll,
    newId: () => `m-${String((ids += 1)).padStart(8, '0')}`,
    turns: new Mutex(),
    leaseMs: LEASE_MS,
  });
}

/** So many controllers at one database. */
async function opened(
  count: number,
  make: () => Promise<StorePlace>,
  work: (stores: [Store, ...Store[]]) => Promise<void>,
): Promise<void> {
  const place = await make();
  const first = await openStore(place, silentLog);
  const stores: [Store, ...Store[]] = [first];
  try {
    while (stores.length < count) stores.push(await openStore(place, silentLog));
    await work(stores);
  } finally {
    for (const each of stores) await each.close();
  }
}

const agents: AgentCalls = {
  put: () => Promise.resolve({ seen: 'accepted' }),
  look: () => Promise.resolve({ seen: 'going' }),
  cancel: () => Promise.resolve({ seen: 'unknown' }),
};
const unasked = () => Promise.reject(new Error('no roll is asked for'));
const roll = { host: unasked, program: unasked };
const hosts = [
  ...sources.map((each) => host(each)),
  ...Object.entries(ROOM).map(([each, most]) => host(each, { memoryBytes: most * GIB })),
];
const seen: Awaited<ReturnType<FleetView['look']>> = {
  hosts: new Map(hosts.map((each) => [each.name, each])),
  guests: new Map(sources.map((each) => [`g-${each}`, guest(`g-${each}`, each)])),
  labels: new Map(),
};
const fleet: FleetView = { look: () => Promise.resolve(seen) };
