import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { guestCounts, homesOf } from '../../../src/controller/inventory/each-guest.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { labelledGuests } from '../../../src/controller/store/standbys.ts';
import type { GuestRow } from '../../../src/controller/store/tables.ts';
import { silentLog } from '../../../src/log.ts';
import type { GuestInfo } from '../../../src/protocol/public/hosts/host.ts';
import { Controller, Streams } from './late-news.ts';
import { GUESTS, HOSTS, looksOf, moves } from './moves.ts';

const LABELS = { 'godwit/recover': 'true' };

/** The rows that the controller has written, with a label that asks for a standby. */
function rowsOf(controller: Controller): GuestRow[] {
  return controller.rows().map(({ host, name, uuid, state, info }) => ({
    host,
    name,
    uuid,
    state,
    memory_bytes: 1,
    vcpus: 1,
    driver: 'qemu',
    info: JSON.stringify({ ...(JSON.parse(info) as GuestInfo), labels: LABELS }),
    // What has just changed is not judged as a conflict yet.
    changed_at: Date.now(),
    epoch: 1,
  }));
}

test('moving guests are counted, found and kept for a recovery once each, however late their hosts report', async (t) => {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const order = fc.array(fc.constantFrom(...HOSTS), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(moves, order, async (all, hosts) => {
      const [controller, streams] = [new Controller(), new Streams()];
      const looks = looksOf(all, true);
      for (const look of looks.slice(0, HOSTS.length)) controller.hearsAll(look);
      for (const look of looks.slice(HOSTS.length)) streams.add(look);
      for (const host of hosts) {
        controller.nowMs += 1;
        streams.deliver(host, controller);
      }
      await store.db.deleteFrom('guests').execute();
      const rows = rowsOf(controller);
      await store.db.insertInto('guests').values(rows).execute();
      const shown = JSON.stringify(rows.map(({ host, name, state }) => [host, name, state]));
      const counts = [...(await guestCounts(store)).values()];
      assert.equal(
        counts.reduce((sum, each) => sum + each, 0),
        GUESTS.length,
        shown,
      );
      const labelled = await labelledGuests(store, HOSTS, async () => {});
      for (const guest of GUESTS) {
        const kept: readonly string[] = HOSTS.filter((host) =>
          labelled.get(host)?.covered.includes(guest),
        );
        const places = controller.places(guest);
        for (const host of places) assert.ok(kept.includes(host), shown);
        // A source that has not been heard since the move is still taken at its word: any host can claim its guest.
        const claims = rows.filter(({ name, state }) => name === guest && state !== 'incoming');
        for (const host of kept)
          assert.ok([...places, ...claims.map((row) => row.host)].includes(host), shown);
      }
      const covered = [...labelled.values()].flatMap((each) => each.covered);
      assert.deepEqual([...new Set(covered)].toSorted(), GUESTS, shown);
      for (const guest of GUESTS)
        assert.deepEqual(await homesOf(store, guest), controller.places(guest), shown);
    }),
    { numRuns: 150 },
  );
});
