import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AgentConfigInput } from '../../src/config.ts';
import { addCephUser, LAB_POOL } from '../../lab/ceph.ts';
import { labDown } from '../../lab/down.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { stopGuest } from '../../lab/guest/stop.ts';
import { existingNamespaces } from '../../lab/namespaces.ts';
import { storageAddress } from '../../lab/plan.ts';
import { labStatus } from '../../lab/status.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { cephOf, setUpCeph, type LabCeph } from './support/ceph.ts';
import { assertWrites } from './support/disks.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { assertSays, move, refusalOf, unlessForbidden, type Move } from './support/moves.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';
import { until } from '../until.ts';

const MIB = 1024 ** 2;
const GUEST = `rbd1-${process.pid.toString(36)}`;
const IMAGE = `${LAB_POOL}/${GUEST}-disk0`;

setUpCeph();

/** Hosts a and b may use the pool as `vm`, and c may only read it. */
describe('a guest on an RBD image opened by QEMU', () => {
  let world: World;
  let ceph: LabCeph;

  before(async () => {
    const configure = (host: string, own: AgentConfigInput): Partial<AgentConfigInput> => {
      const { rbd, conf = '' } = own.storage?.find((each) => 'rbd' in each) ?? { rbd: '' };
      const keyring = path.join(path.dirname(conf), 'client.reader.keyring');
      return host === 'c' ? { storage: [{ rbd, user: 'reader', conf, keyring }] } : {};
    };
    world = await openWorld('rbd', { hosts: 3, storage: 'rbd', configure });
    ceph = cephOf(world.lab);
    const rights = ['mon', 'profile rbd', 'osd', `profile rbd-read-only pool=${LAB_POOL}`];
    await addCephUser(world.lab, 'reader', rights);
    const disks = [{ bytes: 64 * MIB, thin: false }];
    const words = { disks, kernelWords: FEW_PLACES };
    await startGuest(world.lab, { name: GUEST, host: 'a', ...SMALL_GUEST, ...words });
  });
  after(async () => {
    await ceph?.freeze(false);
    await world?.close();
  });

  async function reported<T>(...words: string[]): Promise<T> {
    return JSON.parse(await ceph.ask('rbd', ...words, '--format', 'json')) as T;
  }

  /** It runs on `host` alone, its QEMU there alone has the image open, and what it wrote is there. */
  async function whole(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, GUEST), [host]);
    await assertWrites(world, GUEST);
    const status = await reported<{ watchers: { address: string }[] }>('status', IMAGE);
    const own = status.watchers.map(({ address }) => address.split(':')[0]);
    assert.deepEqual(own, [storageAddress(host)]);
    const locks = await reported<{ address: string }[]>('lock', 'ls', IMAGE);
    assert.deepEqual(
      locks.map(({ address }) => address.split(':')[0]),
      [storageAddress(host)],
    );
    assert.doesNotMatch(await notes(), /godwit/);
  }

  const notes = () => ceph.ask('rbd', 'image-meta', 'list', IMAGE);

  async function moved(request: Partial<Move>): Promise<void> {
    const [from = ''] = await runningOn(world.lab, GUEST);
    const to = from === 'a' ? 'b' : 'a';
    const report = await move(world, { guest: GUEST, from, to, ...request });
    const disks = report.checks.filter(({ name }) => name === 'disks');
    assert.ok(disks.some(({ evidence }) => /see one image of RBD, and each read/.test(evidence)));
    await whole(to);
  }

  test('a guest moves by pre-copy, and returns: the lock follows, and nothing of the proof is left', async () => {
    await whole('a');
    await moved({});
    await moved({});
  });

  test('a guest moves by post-copy', async (t) => {
    await unlessForbidden(t, () => moved({ mode: 'postcopy' }));
  });

  test('a guest is refused if the host may only read the pool', async () => {
    const [from = ''] = await runningOn(world.lab, GUEST);
    const error = await refusalOf(world, { guest: GUEST, from, to: 'c' });
    assertSays(error, 'GODWIT_DISK_LOCAL', GUEST, 'Operation not permitted', 'is not copied');
    await whole(from);
  });

  test('a guest is refused while another client has the image open', async () => {
    const [from = ''] = await runningOn(world.lab, GUEST);
    const stop = ceph.watch(IMAGE);
    await until('the other to have it open', 10_000, async () => {
      const { watchers } = await reported<{ watchers: object[] }>('status', IMAGE);
      return watchers.length === 2 ? true : undefined;
    });
    const error = await refusalOf(world, { guest: GUEST, from, to: from === 'a' ? 'b' : 'a' });
    assertSays(error, 'GODWIT_DISK_LOCAL', GUEST, '2 clients have it open');
    await stop();
    await whole(from);
  });

  test('a guest is refused in time while the monitor is stalled, and keeps running after that', async () => {
    const [from = ''] = await runningOn(world.lab, GUEST);
    await ceph.freeze(true);
    const error = await refusalOf(world, { guest: GUEST, from, to: from === 'a' ? 'b' : 'a' });
    assertSays(error, 'GODWIT_DISK_LOCAL', GUEST, 'did not answer within 5000 ms');
    await ceph.freeze(false);
    await whole(from);
  });

  test('a stopped guest leaves no image, and its server ends with the lab', async () => {
    const { name, entry } = world.lab;
    const { rbd } = await labStatus(name);
    assert.deepEqual(rbd, { url: `rbd:${LAB_POOL}`, serverUp: true });
    await stopGuest(world.lab, GUEST);
    assert.equal(await ceph.ask('rbd', 'ls', LAB_POOL), '');
    await labDown(name);
    assert.deepEqual(await existingNamespaces(entry, name), []);
  });
});
