import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AgentConfigInput } from '../../src/lab/agents.ts';
import { startGuest } from '../../src/lab/guest/start.ts';
import { hostAddress } from '../../src/lab/plan.ts';
import { runningOn } from '../../src/lab/witness/qemus.ts';
import { clientConfig, setUpCeph, startCeph } from './support/ceph.ts';
import type { LabCeph } from './support/ceph.ts';
import { assertWrites } from './support/disks.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { assertSays, move, refusalOf, unlessForbidden } from './support/moves.ts';
import type { Move } from './support/moves.ts';
import { openWorld } from './support/world.ts';
import type { World } from './support/world.ts';
import { until } from '../until.ts';

const MIB = 1024 ** 2;
const GUEST = `rbd1-${process.pid.toString(36)}`;
const IMAGE = 'vm-100-disk-0';

setUpCeph();

/** Hosts a and b may use the pool as `vm`, and c may only read it. */
describe('a guest on an image of RBD that its QEMU opens by itself', () => {
  let world: World;
  let ceph: LabCeph;
  let top: string;

  before(async () => {
    top = await mkdtemp(path.join(tmpdir(), 'godwit-rbd-'));
    await chmod(top, 0o755);
    const fsid = randomUUID();
    const conf = path.join(top, 'ceph.conf');
    await writeFile(conf, clientConfig(hostAddress('c'), fsid), { mode: 0o644 });
    const dir = path.join(top, 'ceph');
    const configure = (host: string): Partial<AgentConfigInput> => {
      const user = host === 'c' ? 'reader' : 'vm';
      const keyring = path.join(dir, `client.${user}.keyring`);
      return { storage: [{ rbd: 'vms', user, conf, keyring }] };
    };
    world = await openWorld('rbd', { hosts: 3, storage: 'local', configure });
    ceph = await startCeph(world.lab, { host: 'c', dir, fsid });
    const keyring = await ceph.user('vm', ['mon', 'profile rbd', 'osd', 'profile rbd pool=vms']);
    await ceph.user('reader', ['mon', 'profile rbd', 'osd', 'profile rbd-read-only pool=vms']);
    const file = path.join(top, 'image');
    await writeFile(file, randomBytes(4 * MIB));
    await ceph.ask('rbd', 'import', file, `vms/${IMAGE}`);
    await ceph.ask('rbd', 'resize', `vms/${IMAGE}`, '--size', '64M');
    const device = `rbd:vms/${IMAGE}:id=vm:conf=${conf}:keyring=${keyring}`;
    const size = { memoryBytes: 192 * MIB, workingSetBytes: 8 * MIB };
    const disks = [{ bytes: 64 * MIB, thin: false, device }];
    await startGuest(world.lab, {
      name: GUEST,
      host: 'a',
      ...size,
      disks,
      kernelWords: FEW_PLACES,
    });
  });
  after(async () => {
    ceph?.freeze(false);
    await world?.close();
    if (top !== undefined) await rm(top, { recursive: true, force: true });
  });

  async function reported<T>(...words: string[]): Promise<T> {
    return JSON.parse(await ceph.ask('rbd', ...words, '--format', 'json')) as T;
  }

  /** It runs on `host` alone, its QEMU there alone has the image open, and what it wrote is there. */
  async function whole(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, GUEST), [host]);
    await assertWrites(world, GUEST);
    const status = await reported<{ watchers: { address: string }[] }>('status', `vms/${IMAGE}`);
    const own = status.watchers.map(({ address }) => address.split(':')[0]);
    assert.deepEqual(own, [hostAddress(host)]);
    const locks = await reported<{ address: string }[]>('lock', 'ls', `vms/${IMAGE}`);
    assert.deepEqual(
      locks.map(({ address }) => address.split(':')[0]),
      [hostAddress(host)],
    );
    assert.doesNotMatch(await notes(), /godwit/);
  }

  const notes = () => ceph.ask('rbd', 'image-meta', 'list', `vms/${IMAGE}`);

  async function moved(request: Partial<Move>): Promise<void> {
    const [from = ''] = await runningOn(world.lab, GUEST);
    const to = from === 'a' ? 'b' : 'a';
    const report = await move(world, { guest: GUEST, from, to, ...request });
    const disks = report.checks.filter(({ name }) => name === 'disks');
    assert.ok(disks.some(({ evidence }) => /see one image of RBD, and each read/.test(evidence)));
    await whole(to);
  }

  test('moves by pre-copy, there and back: the lock follows, and nothing of the proof is left', async () => {
    await whole('a');
    await moved({});
    await moved({});
  });

  test('moves by post-copy', async (t) => {
    await unlessForbidden(t, () => moved({ mode: 'postcopy' }));
  });

  test('is refused where the host may only read the pool', async () => {
    const [from = ''] = await runningOn(world.lab, GUEST);
    const error = await refusalOf(world, { guest: GUEST, from, to: 'c' });
    assertSays(error, 'GODWIT_DISK_LOCAL', GUEST, 'Operation not permitted', 'is not copied');
    await whole(from);
  });

  test('is refused while somebody else has the image open', async () => {
    const [from = ''] = await runningOn(world.lab, GUEST);
    const stop = ceph.watch(`vms/${IMAGE}`);
    await until('the other to have it open', 10_000, async () => {
      const { watchers } = await reported<{ watchers: object[] }>('status', `vms/${IMAGE}`);
      return watchers.length === 2 ? true : undefined;
    });
    const error = await refusalOf(world, { guest: GUEST, from, to: from === 'a' ? 'b' : 'a' });
    assertSays(error, 'GODWIT_DISK_LOCAL', GUEST, '2 clients have it open');
    await stop();
    await whole(from);
  });

  test('is refused in time while the monitor stands still, and runs on after that', async () => {
    const [from = ''] = await runningOn(world.lab, GUEST);
    ceph.freeze(true);
    const error = await refusalOf(world, { guest: GUEST, from, to: from === 'a' ? 'b' : 'a' });
    assertSays(error, 'GODWIT_DISK_LOCAL', GUEST, 'did not answer within 5000 ms');
    ceph.freeze(false);
    await whole(from);
  });
});
