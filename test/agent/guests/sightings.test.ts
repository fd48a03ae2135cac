import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { Guests } from '../../../src/agent/guests/guests.ts';
import { lineageOf, mostTelling, sightingOf } from '../../../src/agent/guests/sightings.ts';
import { MigrationStore } from '../../../src/agent/migrations/store.ts';
import { systemClock } from '../../../src/clock.ts';
import type { GuestHandle } from '../../../src/port/inventory.ts';
import { openDestinationJournal } from '../../../src/host/journal/journal.ts';
import { answerFrom } from '../../../src/migration/permission/host-answer.ts';
import type { DestinationMoverRequest } from '../../../src/protocol/mover/request.ts';
import { planned, preparationOf } from '../../migration/direct/samples.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { fleet, GIB, guest, listingDriver } from '../samples.ts';

const UUID = '11111111-2222-3333-4444-555555555555';

describe('sightings', () => {
  test('a sighting reports copies by name or UUID to another host, and nothing about other guests', async (t) => {
    const { host, as } = await fleet(t);
    const b = await host('b', {
      peers: { c: { address: '127.0.0.1:1' } },
      guests: () => [guest('web1', { uuid: UUID }), guest('renamed', { uuid: UUID }), guest('db1')],
    });
    const c = await as('c', 'agent', b);
    const query = { id: 'm-00000001', uuid: UUID };
    const seen = await c.sighting({ params: { guest: 'web1' }, query });
    assert.deepEqual(seen.copies, [
      { state: 'running', uuid: UUID },
      { state: 'running', uuid: UUID },
    ]);
    assert.deepEqual(seen.moves, []);
  });

  test('sightings are for hosts, not for people', async (t) => {
    const { host, as } = await fleet(t);
    const b = await host('b');
    const ann = await as('ann', 'operator', b);
    const query = { id: 'm-00000001' };
    await assert.rejects(ann.sighting({ params: { guest: 'web1' }, query }), {
      code: 'GODWIT_ROLE_FORBIDDEN',
    });
  });

  test('a sighting names the migrations that brought the guest here, and the ones before them', async (t) => {
    const store = new MigrationStore(tempDir(t), 'b', systemClock);
    const plan = planned();
    const handle = { driver: 'fake', name: 'web1', pid: 7, startTicks: 9, monitor: 'm' };
    const drivers = [listingDriver(() => [])];
    const { guest: name, epoch } = plan;
    const admission = {
      id: 'm-00000002',
      guest: name,
      from: 'a',
      epoch,
      memoryBytes: GIB,
      timeoutMs: 1,
      lineage: ['m-00000001'],
    };
    const { dir } = store.add({
      version: 1,
      id: 'm-00000002',
      side: 'destination',
      fromHost: 'a',
      toHost: 'b',
      peer: { name: 'a', address: 'a:1' },
      createdAt: '2026-01-01T00:00:00.000Z',
      admission,
    });
    const { journal } = openDestinationJournal(dir, systemClock);
    await journal.append({ type: 'admitted', admission, host: 'b' }, 'later');
    const preparation = preparationOf(plan);
    await journal.append({ type: 'preparing', preparation, ports: {} }, 'later');
    await journal.append({ type: 'prepared', handle, memoryAddress: 'b:49152' }, 'later');
    await journal.close();
    assert.deepEqual(lineageOf({ store, drivers }, handle), ['m-00000002', 'm-00000001']);
    assert.deepEqual(
      lineageOf({ store, drivers }, { ...handle, startTicks: 10 } as GuestHandle),
      [],
    );
  });

  const ID = 'm-00000001';
  const WEB1 = { driver: 'fake', name: 'web1', pid: 7, startTicks: 9, monitor: 'm' };

  /** What host c shows to `asker`, who asks under the id by which its guest came from m and runs there. */
  async function shownTo(
    asker: string,
    t: TestContext,
    more: Pick<DestinationMoverRequest, 'recovery'> = {},
  ) {
    const store = new MigrationStore(tempDir(t), 'c', systemClock);
    const admission = {
      id: ID,
      guest: 'web1',
      from: 'm',
      memoryBytes: GIB,
      epoch: 1,
      timeoutMs: 1,
    };
    const { dir } = store.add({
      version: 1,
      id: ID,
      side: 'destination',
      fromHost: 'm',
      toHost: 'c',
      peer: { name: 'm', address: 'm:1' },
      createdAt: '2026-01-01T00:00:00.000Z',
      admission,
      ...more,
    });
    const { journal } = openDestinationJournal(dir, systemClock);
    await journal.append({ type: 'admitted', admission, host: 'c' }, 'later');
    await journal.append(
      { type: 'preparing', preparation: preparationOf(planned()), ports: {} },
      'later',
    );
    await journal.append({ type: 'prepared', handle: WEB1, memoryAddress: 'c:49152' }, 'later');
    await journal.append({ type: 'armed', epoch: 1, bootId: 'boot-1' }, 'later');
    await journal.close();
    const alive = { ...listingDriver(() => []), life: async () => ({ state: 'alive' as const }) };
    const guests = {
      drivers: [{ ...alive, isSame: () => true }],
      look: async () => [{ ...guest('web1', { uuid: UUID }), handle: WEB1 }],
    } as unknown as Guests;
    return sightingOf({ guests, store, host: 'c' }, 'web1', { id: ID, uuid: UUID, asker });
  }

  test("a sighting omits this side of a migration only for the migration's other side", async (t) => {
    for (const asker of ['m', 'c']) {
      const { copies, moves } = await shownTo(asker, t);
      assert.deepEqual({ copies, moves }, { copies: [], moves: [] }, asker);
    }
  });

  test('a sighting omits nothing for a third host that asks under the same id', async (t) => {
    const seen = await shownTo('a', t);
    assert.deepEqual(seen.copies, [{ state: 'running', uuid: UUID }]);
    assert.deepEqual(
      seen.moves.map(({ id, from, to }) => ({ id, from, to })),
      [{ id: ID, from: 'm', to: 'c' }],
    );
    const sought = { guest: 'web1', uuid: UUID, id: ID, since: '2025-01-01T00:00:00.000Z' };
    assert.equal(answerFrom(seen, sought).is, 'has');
  });

  test('a sighting omits nothing of a recovery, whichever host asks under its id', async (t) => {
    const recovery = { preparation: preparationOf(planned()), off: [] };
    for (const asker of ['m', 'd']) {
      const { copies, moves } = await shownTo(asker, t, { recovery });
      assert.equal(copies.length, 1, asker);
      assert.equal(moves.length, 1, asker);
    }
  });
});

test('a long history of a guest hides no migration that is open, damaged, or sent it on', () => {
  const ended = Array.from({ length: 100 }, (_, at) => ({
    ...({ id: `m-${10_000_000 + at}`, side: 'source', from: 'b', to: 'c' } as const),
    createdAt: `2026-02-01T00:00:${String(at % 60).padStart(2, '0')}.000Z`,
    ended: true,
    runsAt: 'destination' as const,
    lineage: [] as string[],
  }));
  const [first, second, third, ...rest] = ended.map((move) => ({ ...move }));
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  // Its record of the time is as damaged as the rest.
  const { ended: _, ...open } = { ...first, createdAt: '1970-01-01T00:00:00.000Z' };
  const unknown = { ...second, runsAt: 'unknown' as const, createdAt: '2020-01-01T00:00:00.000Z' };
  const sentOn = { ...third, lineage: ['m-00000001'], createdAt: '2020-01-01T00:00:00.000Z' };
  const shown = mostTelling([open, unknown, sentOn, ...rest], 'm-00000001');
  assert.equal(shown.length, 64);
  for (const move of [open, unknown, sentOn]) assert.ok(shown.includes(move), move.id);
  const newest = rest
    .map(({ createdAt }) => createdAt)
    .toSorted()
    .at(-1);
  assert.equal(shown[3]?.createdAt, newest);
});
