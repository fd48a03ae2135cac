import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Carrier } from '../../../src/controller/engine/carrier.ts';
import type { AgentCalls, FleetView } from '../../../src/controller/engine/ports.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store, StorePlace } from '../../../src/controller/store/open.ts';
import { Wishes } from '../../../src/controller/store/wishes.ts';
import { silentLog } from '../../../src/log.ts';
import { Mutex } from '../../../src/mutex.ts';
import { noModes } from '../engine/no-modes.ts';
import { drainOf, GIB, guest, host } from '../wishes/worlds.ts';

const LEASE_MS = 60_000;
const DRAINS = 12;
const sources = Array.from({ length: DRAINS }, (_none, nth) => `s${nth}`);
const ROOM: Readonly<Record<string, number>> = { d: 3, e: 4 };

/** What holds of leases and of promised room, whatever keeps them. `make` gives an empty database to each test. */
export function promisesSuite(name: string, make: () => Promise<StorePlace>): void {
  describe(`claims and promises in ${name}`, () => {
    test('a look renews a claim only once half of its lease is over', () =>
      opened(1, make, async ([store]) => {
        const wishes = new Wishes(store);
        await wishes.add(drainOf('a'));
        const claim = (await wishes.acquire('one', LEASE_MS)) ?? assert.fail();
        const leaseUntil = async () =>
          (await store.db.selectFrom('claims').select('lease_until').executeTakeFirstOrThrow())
            .lease_until;
        const first = await leaseUntil();
        await wishes.view(claim, LEASE_MS);
        assert.equal(await leaseUntil(), first);
        const lease_until = first - LEASE_MS / 2 - 1;
        await store.db.updateTable('claims').set({ lease_until }).execute();
        await wishes.view(claim, LEASE_MS);
        assert.ok((await leaseUntil()) >= first);
      }));

    test('claims are renewed together, but for those that another controller has', () =>
      opened(1, make, async ([store]) => {
        const wishes = new Wishes(store);
        await wishes.add(drainOf('a'));
        await wishes.add({ ...drainOf('b'), id: 'w-00000002' });
        const lost = (await wishes.acquire('one', 0)) ?? assert.fail();
        const taken = (await wishes.acquire('two', LEASE_MS)) ?? assert.fail();
        const own = (await wishes.acquire('one', LEASE_MS)) ?? assert.fail();
        assert.deepEqual([taken.wish, own.wish], [lost.wish, 'w-00000002']);
        await store.db.updateTable('claims').set({ lease_until: 1 }).execute();
        await wishes.renewAll([lost, own], LEASE_MS);
        await wishes.renewAll([], LEASE_MS);
        const rows = await store.db.selectFrom('claims').selectAll().execute();
        const ended = rows.filter((each) => each.lease_until === 1).map(({ epoch }) => epoch);
        assert.deepEqual(ended, [taken.epoch]);
      }));

    test('a claim that was released meanwhile is not renewed', () =>
      opened(1, make, async ([store]) => {
        const wishes = new Wishes(store);
        await wishes.add(drainOf('a'));
        const claim = (await wishes.acquire('one', LEASE_MS)) ?? assert.fail();
        await wishes.release(claim, 0);
        await wishes.renewAll([claim], LEASE_MS);
        const again = (await wishes.acquire('two', LEASE_MS)) ?? assert.fail();
        assert.equal(again.wish, claim.wish);
      }));

    test('two controllers whose drains all begin at once promise no room twice, and all the room there is', () =>
      opened(2, make, async (stores) => {
        const owners = stores.map((store, nth) => {
          return { owner: `c${nth}`, wishes: new Wishes(store), turns: new Mutex() };
        });
        const [{ wishes } = assert.fail()] = owners;
        for (const [nth, from] of sources.entries())
          await wishes.add({ ...drainOf(from), id: `w-${String(nth).padStart(8, '0')}` });
        let ids = 0;
        const newId = (): string => `m-${String((ids += 1)).padStart(8, '0')}`;
        const carriers: Carrier[] = [];
        for (let nth = 0; nth < DRAINS; nth += 1) {
          const { owner, turns, wishes: of } = owners[nth % owners.length] ?? assert.fail();
          const claim = (await of.acquire(owner, LEASE_MS)) ?? assert.fail();
          const parts = { store: of, agents, modes: noModes, fleet, roll, newId, turns };
          carriers.push(new Carrier(claim, { ...parts, leaseMs: LEASE_MS }));
        }
        for (let round = 0; round < 6; round += 1) {
          await Promise.all(carriers.map((each) => each.round()));
          const { reservations } = await wishes.world();
          for (const [to, most] of Object.entries(ROOM))
            assert.ok(reservations.filter((each) => each.host === to).length <= most);
        }
        const { reservations } = await wishes.world();
        const all = Object.values(ROOM).reduce((sum, each) => sum + each, 0);
        assert.equal(reservations.length, all);
      }));
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
