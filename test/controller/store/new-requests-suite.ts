import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openStore, type StorePlace } from '../../../src/controller/store/open.ts';
import { MAX_OPEN_OF_ONE } from '../../../src/controller/store/new-requests.ts';
import { Requests } from '../../../src/controller/store/requests.ts';
import { hasCode } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { drainOf } from '../requests/worlds.ts';

/** That an id of a request is one request, whoever asks and how often. `make` gives an empty database to each test. */
export function askedSuite(name: string, make: () => Promise<StorePlace>): void {
  const LEASE_MS = 60_000;

  describe(`the clock of a store in ${name}`, () => {
    test("a clock that was set back keeps a living controller's claims and requests, and frees a dead one's claims", async () => {
      const store = await openStore(await make(), silentLog);
      try {
        const requests = new Requests(store);
        await requests.add(drainOf('a'));
        const first = await requests.acquire('first', LEASE_MS);
        const setBack = async (): Promise<void> => {
          const ahead = Date.now() + 3 * 3_600_000;
          await store.db.updateTable('claims').set({ lease_until: ahead }).execute();
          await store.db.updateTable('requests').set({ due_at: ahead }).execute();
        };
        await setBack();
        assert.equal(await requests.acquire('one', LEASE_MS), undefined);
        assert.ok(first !== undefined && (await requests.renew(first, LEASE_MS)));
        await setBack();
        // Nobody renews it any more: it ends one lease later, which lasts no time here.
        const next = await requests.acquire('one', 0);
        assert.ok(next !== undefined && next.epoch > first.epoch);
        assert.equal(await requests.renew(first, LEASE_MS), false);
        await requests.renew(next, LEASE_MS);
        assert.equal(await requests.acquire('two', LEASE_MS), undefined);
      } finally {
        await store.close();
      }
    });
  });

  describe(`repeated requests in ${name}`, () => {
    test('a request that is sent a hundred times at once, at two controllers, is one request', async () => {
      const place = await make();
      const stores = [await openStore(place, silentLog), await openStore(place, silentLog)];
      const [one, two] = stores.map((store) => new Requests(store));
      assert.ok(one !== undefined && two !== undefined);
      try {
        const asked = Array.from({ length: 100 }, (_, nth) =>
          (nth % 2 === 0 ? one : two).add({ ...drainOf('a'), createdBy: `person ${nth}` }),
        );
        await Promise.all(asked);
        assert.deepEqual(
          (await two.list()).map(({ id }) => id),
          [drainOf('a').id],
        );
        const other = { ...drainOf('a'), ask: { ...drainOf('a').ask, priority: 1 } };
        const refused = await Promise.allSettled([one.add(other), two.add(other)]);
        for (const each of refused)
          assert.ok(each.status === 'rejected' && hasCode(each.reason, 'GODWIT_REQUEST_TAKEN'));
      } finally {
        await Promise.all(stores.map((store) => store.close()));
      }
    });

    test("one caller has a bounded number of open requests, and takes none of another caller's", async () => {
      const store = await openStore(await make(), silentLog);
      try {
        const requests = new Requests(store);
        const nth = (count: number, createdBy: string) => ({
          ...drainOf(`host${count}`),
          id: `r-${String(count).padStart(8, '0')}`,
          createdBy,
        });
        for (let count = 0; count < MAX_OPEN_OF_ONE; count += 1)
          await requests.add(nth(count, 'ann'));
        await assert.rejects(requests.add(nth(1000, 'ann')), (thrown) => {
          assert.ok(hasCode(thrown, 'GODWIT_OVERLOADED'));
          assert.match(thrown.message, /open requests of ann/);
          return true;
        });
        await requests.add(nth(1001, 'bob'));
        // A dead host's guests are recovered all the same.
        const dead = nth(1002, 'ann');
        await requests.add({ ...dead, ask: { ...dead.ask, kind: 'recover' } });
        // Asked again, an open one is the same.
        await requests.add(nth(0, 'ann'));
      } finally {
        await store.close();
      }
    });
  });
}
