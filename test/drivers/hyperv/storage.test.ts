import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { folderChecks, isStoredIn, windowsFolder } from '../../../src/drivers/hyperv/storage.ts';
import type { GuestWhole } from '../../../src/drivers/hyperv/answers.ts';
import type { ManagedOrder } from '../../../src/migration/managed/task-sight.ts';
import type { Check } from '../../../src/protocol/public/migration.ts';
import { HypervPlace } from '../../managers/hyperv/place.ts';
import type { FakeGuest } from '../../managers/hyperv/world.ts';

const FOLDER = String.raw`D:\VMs`;
const ID = '0b9f2f0a-6f0e-4f5c-9a3e-0a0a0a0a0a0a';

function stored(folder: string, ...files: readonly string[]): GuestWhole {
  const guest = { id: ID } as GuestWhole['guest'];
  const disks = files.map((path) => ({ path, physical: false, at: 'SCSI 0:0' }));
  return { guest, folder, disks, compatibility: true, images: [], devices: [] };
}

test('a guest is in a folder if its configuration and all its disks are below it', () => {
  const own = `d:\\vms\\${ID.toUpperCase()}`;
  const disk = `${own}\\Virtual Hard Disks\\a.vhdx`;
  assert.equal(isStoredIn(FOLDER, stored(own, disk)), true);
  assert.equal(isStoredIn(`${FOLDER}\\`, stored(own, disk)), true);
  assert.equal(isStoredIn(FOLDER, stored(own, disk, String.raw`C:\b.vhdx`)), false);
  assert.equal(isStoredIn(FOLDER, stored(String.raw`C:\vm`, disk)), false);
  assert.equal(isStoredIn(FOLDER, stored(`${FOLDER}\\other`, disk)), false);
});

test('a folder is the same one in every spelling', () => {
  const own = `D:\\VMs\\${ID}`;
  const disk = `${own}\\Virtual Hard Disks\\a.vhdx`;
  for (const same of ['d:/vms', 'D:/VMs/', 'D:\\\\VMs\\\\', 'D:\\x\\..\\VMs', '\\\\?\\D:\\VMs'])
    assert.equal(isStoredIn(same, stored(own, disk)), true, same);
  const share = `\\\\SERVER\\share\\${ID}`;
  for (const same of ['//server/Share', '\\\\server\\share\\', '\\\\?\\UNC\\server\\share'])
    assert.equal(isStoredIn(same, stored(share, `${share}\\a.vhdx`)), true, same);
  assert.equal(isStoredIn('D:\\', stored(`D:\\${ID}\\`, `d:/${ID}/a.vhdx`)), true);
  assert.equal(isStoredIn('D:\\VM', stored(own, disk)), false);
  assert.equal(windowsFolder('d:/VMs//new/'), 'd:\\VMs\\new');
});

test('a folder is named with its complete path', () => {
  const named = (datastore: string): number =>
    folderChecks({ guest: 'web', from: 'a', to: 'a', datastore }).length;
  for (const good of [FOLDER, 'd:\\', 'd:/VMs', String.raw`\\server\share\VMs`, '//server/share'])
    assert.equal(named(good), 0, good);
  for (const bad of [
    'VMs',
    String.raw`..\VMs`,
    'D:VMs',
    String.raw`\VMs`,
    '/vms',
    String.raw`\\server`,
    String.raw`\\.\PhysicalDrive1`,
  ])
    assert.equal(named(bad), 1, bad);
});

describe('a move of storage alone', () => {
  const signal = AbortSignal.timeout(60_000);
  let place: HypervPlace;
  let count = 0;

  before(async () => {
    place = await HypervPlace.open();
  });
  after(async () => {
    await place?.close();
  });

  async function checksOf(
    facts: Partial<FakeGuest>,
    more: Partial<ManagedOrder> = {},
  ): Promise<Check[]> {
    count += 1;
    const guest = place.world.guest(`web${count}`, 'hv1', facts);
    const driver = place.driver();
    const options = { host: 'a', busy: new Set<string>(), configured: [], only: guest.name };
    const [found] = await driver.discover(options, signal);
    assert.ok(found?.handle);
    const session = await driver.openManaged(found.handle);
    const order = { ...place.order(guest.name), to: 'a', datastore: FOLDER, ...more };
    return session.check(order, signal).finally(() => session.close());
  }

  const refusals = (checks: readonly Check[]): string[] =>
    checks.flatMap(({ verdict, error }) => (verdict === 'refuse' ? [error?.message ?? ''] : []));

  test('a move of storage needs no answer from another host and has no obstacle', async () => {
    const asked = place.destination.asked.length;
    assert.deepEqual(refusals(await checksOf({})), []);
    assert.equal(place.destination.asked.length, asked);
  });

  test('a move of storage is refused for a cluster role, a physical disk, a missing folder, and the present folder', async () => {
    const physical = [{ path: 'Disk 1', physical: true, at: 'SCSI 0:1' }];
    assert.match(refusals(await checksOf({ clustered: true })).join(), /role of a cluster/);
    const along = await checksOf({ clustered: true }, { to: 'b' });
    assert.match(refusals(along).join(), /whose configuration Godwit does not change/);
    assert.match(refusals(await checksOf({ disks: physical })).join(), /physical disk/);
    assert.match(refusals(await checksOf({}, { datastore: 'VMs' })).join(), /no folder of Windows/);
    const own = `${FOLDER}\\${ID}`;
    const there = {
      id: ID,
      folder: own,
      disks: [{ path: `${own}\\a.vhdx`, physical: false, at: 'SCSI 0:0' }],
    };
    assert.match(refusals(await checksOf(there)).join(), /already/);
  });

  test('a move of storage waits while the host moves as much as it allows', async () => {
    const host = place.world.hosts.get('hv1');
    assert.ok(host);
    host.storageActive = host.storageLimit;
    assert.match(refusals(await checksOf({})).join(), /simultaneous moves of storage of a/);
    host.storageActive = 0;
  });

  test('storage moves along to another host on request, even from a share', async () => {
    const checks = await checksOf({}, { to: 'b' });
    assert.deepEqual(refusals(checks), []);
    const disks = checks.find(({ name }) => name === 'disks');
    assert.match(disks?.evidence ?? '', /they go along, to D:/);
  });
});
