import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { StoredFleet } from '../../../src/controller/engine/fleet-view.ts';
import { fleetSnapshot, SnapshotMemory } from '../../../src/controller/inventory/snapshot.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { silentLog } from '../../../src/log.ts';
import { guestRowOf } from '../../../src/controller/inventory/pending.ts';
import { guestInfo, type GuestInfo } from '../../../src/protocol/public/hosts/host.ts';

const row = (info: GuestInfo) => ({ ...guestRowOf('a', info), changed_at: 1, epoch: 1 });
const guest = (name: string, vcpus: number) =>
  guestInfo.parse({ name, host: 'a', driver: 'fake', state: 'running', vcpus });

describe('a snapshot of the fleet', () => {
  let store: Store;
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  before(async () => {
    store = await openStore({ sqlite: path.join(directory, 'controller.db') }, silentLog);
    await store.db
      .insertInto('guests')
      .values([row(guest('g1', 1)), row(guest('g2', 1))])
      .execute();
  });
  after(async () => {
    await store.close();
    rmSync(directory, { recursive: true });
  });

  test('a snapshot reads and parses only the rows that were written since the last one', async () => {
    const memory = new SnapshotMemory();
    const first = await fleetSnapshot(store, memory);
    const { info } = guestRowOf('a', guest('g2', 2));
    const update = store.db.updateTable('guests');
    await update.set({ info, changed_at: 2 }).where('name', '=', 'g2').execute();
    // Nobody writes so: it shows that this row is not read.
    await update.set({ info: 'no guest' }).where('name', '=', 'g1').execute();
    const second = await fleetSnapshot(store, memory);
    assert.equal(second.guests[0]?.info, first.guests[0]?.info);
    assert.equal(first.guests[1]?.info.vcpus, 1);
    assert.equal(second.guests[1]?.info.vcpus, 2);
    const { info: sound } = guestRowOf('a', guest('g1', 1));
    await update.set({ info: sound }).where('name', '=', 'g1').execute();
  });

  test('a snapshot has both of two guests with one uuid on one host, such as copies', async () => {
    const uuid = '8a1c3b5e-1f2d-4c6b-9a7e-0d1f2e3c4b5a';
    const copies = ['copy1', 'copy2'].map((name) => row({ ...guest(name, 1), uuid }));
    await store.db.insertInto('guests').values(copies).execute();
    const { guests } = await fleetSnapshot(store, new SnapshotMemory());
    await store.db.deleteFrom('guests').where('uuid', '=', uuid).execute();
    assert.deepEqual(
      guests.map(({ info }) => info.name),
      ['copy1', 'copy2', 'g1', 'g2'],
    );
  });

  test('a snapshot reads a guest again if the last read was so early that another write may have followed', async () => {
    const memory = new SnapshotMemory();
    const update = store.db.updateTable('guests').where('name', '=', 'g2');
    const write = async (vcpus: number, changed_at: number) => {
      const { info } = guestRowOf('a', guest('g2', vcpus));
      await update.set({ info, changed_at }).execute();
      return (await fleetSnapshot(store, memory)).guests[1]?.info.vcpus;
    };
    const { now } = await store.db.selectNoFrom(store.nowMs.as('now')).executeTakeFirstOrThrow();
    assert.equal(await write(3, now), 3);
    assert.equal(await write(4, now), 4);
    // Written before the clock was set back.
    assert.equal(await write(5, now + 3_600_000), 5);
    assert.equal(await write(6, now + 3_600_000), 6);
  });

  test('a snapshot reads everything again that is written under another lease', async () => {
    const memory = new SnapshotMemory();
    await fleetSnapshot(store, memory);
    const { info } = guestRowOf('a', guest('g2', 7));
    const update = store.db.updateTable('guests').where('name', '=', 'g2');
    await update.set({ info, changed_at: 2, epoch: 1 }).execute();
    await fleetSnapshot(store, memory);
    const { info: next } = guestRowOf('a', guest('g2', 8));
    await update.set({ info: next, epoch: 2 }).execute();
    assert.equal((await fleetSnapshot(store, memory)).guests[1]?.info.vcpus, 8);
  });

  test('a snapshot forgets removed guests, and a guest that returns has its new state', async () => {
    const memory = new SnapshotMemory();
    await fleetSnapshot(store, memory);
    await store.db.deleteFrom('guests').where('name', '=', 'g1').execute();
    assert.deepEqual(
      (await fleetSnapshot(store, memory)).guests.map((each) => each.info.name),
      ['g2'],
    );
    await store.db
      .insertInto('guests')
      .values(row(guest('g1', 4)))
      .execute();
    assert.equal((await fleetSnapshot(store, memory)).guests[0]?.info.vcpus, 4);
  });

  test('a snapshot is shared while it is valid, and callers that need a fresh one share a single new one', async () => {
    let [nowMs, reads] = [0, 0];
    const counting: Store = {
      ...store,
      nowMs: store.nowMs,
      db: store.db,
      transaction: (work) => {
        reads += 1;
        return store.transaction(work);
      },
    };
    const fleet = new StoredFleet(counting, () => nowMs);
    await Promise.all([fleet.look(), fleet.look(), fleet.look()]);
    await fleet.look();
    assert.equal(reads, 1);
    await Promise.all([fleet.look('now'), fleet.look('now'), fleet.look('now'), fleet.look()]);
    assert.equal(reads, 3, 'one that was under way, and one for all who asked after it began');
    nowMs += 1000;
    await fleet.look();
    assert.equal(reads, 4);
  });
});
