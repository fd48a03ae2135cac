import assert from 'node:assert/strict';
import { chmod, lstat, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AgentConfigInput } from '../../src/config.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { FakeLvm } from '../disks/volumes/fake-lvm.ts';
import { FakeZfs } from '../disks/volumes/fake-zfs.ts';
import { until } from '../until.ts';
import { assertWrites } from './support/disks.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { killMover } from './support/movers.ts';
import { assertSays, begin, checkedRefusal, follow, move, reportAtEnd } from './support/moves.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const SIZE = 48 * MIB;
const NAME = 'vm-100-disk-0';
/** Of which the disk takes many seconds. */
const SLOW = { maxBandwidth: 4 * MIB };

/** Two hosts with such storage, and the guest db1 on a, whose disk is `device`. */
async function openWithGuest(
  name: string,
  device: string,
  storageOf: (host: string) => object,
): Promise<World> {
  const configure = (host: string) => ({ storage: [storageOf(host)] }) as AgentConfigInput;
  const world = await openWorld(name, { hosts: 2, storage: 'local', configure });
  await startGuest(world.lab, {
    ...SMALL_GUEST,
    host: 'a',
    name: 'db1',
    disks: [{ bytes: SIZE, thin: false, device }],
    kernelWords: FEW_PLACES,
  }).catch(async (error: unknown) => {
    await world.close();
    throw error;
  });
  return world;
}

async function untilCopied(world: World, id: string): Promise<void> {
  await follow(world, 'a', id, ({ phase, disks = [] }) => {
    return phase === 'disks' && disks.some(({ copiedBytes }) => copiedBytes > 0);
  });
}

/** It runs there alone, with all that it has written. */
async function whole(world: World, host: string): Promise<void> {
  assert.deepEqual(await runningOn(world.lab, 'db1'), [host]);
  await assertWrites(world, 'db1');
}

/** The kernel of this machine may have no device mapper: `lvm` is a stand-in that makes loop devices, full of old data. */
describe('a guest on a volume', () => {
  let world: World;
  let top: string;
  let fake: FakeLvm;
  const searched = process.env['PATH'];

  before(async () => {
    top = await mkdtemp(path.join(tmpdir(), 'godwit-vol-'));
    await chmod(top, 0o755);
    fake = new FakeLvm(top, { loops: true });
    process.env['PATH'] = `${fake.bin}:${searched}`;
    const thinPools = { tp: { bytes: 256 * MIB, freeBytes: 256 * MIB } };
    for (const host of ['a', 'b']) {
      fake.group(`v${host}`, { devices: path.join(top, `v${host}`), thinPools });
    }
    fake.volume('va', NAME, SIZE);
    world = await openWithGuest('vol', path.join(top, 'va', NAME), (host) => ({
      devices: path.join(top, `v${host}`),
      make: { lvm: `v${host}`, ...(host === 'b' ? { thinPool: 'tp' } : {}) },
    }));
  });
  after(async () => {
    await world?.close();
    process.env['PATH'] = searched;
    fake?.end();
    if (top !== undefined) await rm(top, { recursive: true, force: true });
  });

  const volumes = (host: string) => fake.state.groups[`v${host}`]?.volumes ?? {};

  test('a guest keeps its volume if the migration is cancelled, and the new volume is removed', async () => {
    const id = await begin(world, { guest: 'db1', from: 'a', to: 'b', ...SLOW });
    await untilCopied(world, id);
    assert.deepEqual(volumes('b')[NAME]?.tags, [`godwit=${id}`]);
    assert.equal((await world.agent('a').cancel({ params: { id } })).accepted, true);
    const report = await reportAtEnd(world, 'a', id);
    assertSays(report.error!, 'GODWIT_CANCELLED', 'db1');
    assert.deepEqual(volumes('b'), {});
    assert.deepEqual(await readdir(path.join(top, 'vb')), []);
    await whole(world, 'a');
  });

  test('a new volume is removed, too, if the mover that created it was killed', async () => {
    const id = await begin(world, { guest: 'db1', from: 'a', to: 'b', ...SLOW });
    await untilCopied(world, id);
    await killMover(world, 'b', id);
    assert.equal((await world.agent('a').cancel({ params: { id } })).accepted, true);
    await reportAtEnd(world, 'a', id);
    await until('the volume to be gone', 30_000, async () => {
      return Object.keys(volumes('b')).length === 0 ? true : undefined;
    });
    await whole(world, 'a');
  });

  test('a guest arrives on a volume of the same size, thin if the host is configured so, with its content only', async (t) => {
    const report = await move(world, { guest: 'db1', from: 'a', to: 'b', verifyDisks: true });
    const reported = report.checks.filter(({ name }) => name === 'disks');
    t.diagnostic(reported.map(({ evidence }) => evidence).join('\n'));
    assert.ok(
      reported.some(({ evidence }) => /a new volume in the thin pool vb\/tp/.test(evidence)),
    );
    assert.equal(report.diskCheck?.verdict, 'equal', JSON.stringify(report.diskCheck));
    const made = volumes('b')[NAME];
    assert.deepEqual([made?.bytes, made?.tags, made?.pool], [SIZE, [], 'tp']);
    assert.ok((await stat(path.join(top, 'vb', NAME))).isBlockDevice());
    await whole(world, 'b');
  });

  test('a guest is not moved onto an existing volume, and nothing is touched', async () => {
    const refused = await checkedRefusal(world, { guest: 'db1', from: 'b', to: 'a' });
    assert.ok(refused !== undefined);
    assertSays(refused, 'GODWIT_DISK_PLACE', `va/${NAME} is there already`, 'overwrites no volume');
    assert.ok((await lstat(path.join(top, 'va', NAME))).isSymbolicLink());
  });

  test('a guest returns onto a thick volume once its old volume is removed', async () => {
    fake.remove('va', NAME);
    await move(world, { guest: 'db1', from: 'b', to: 'a' });
    const made = volumes('a')[NAME];
    assert.deepEqual([made?.bytes, made?.tags, made?.pool], [SIZE, [], undefined]);
    await whole(world, 'a');
  });
});

/** This machine has no ZFS: `zfs` is a stand-in that makes loop devices, full of old data. */
describe('a guest on a ZFS volume', () => {
  let world: World;
  let top: string;
  let fake: FakeZfs;
  const searched = process.env['PATH'];
  const dataset = (host: string): string => `tank${host}/vm`;
  const children = (host: string) => fake.state.datasets[dataset(host)]?.children ?? {};

  before(async () => {
    top = await mkdtemp(path.join(tmpdir(), 'godwit-zvol-'));
    await chmod(top, 0o755);
    fake = new FakeZfs(top, { loops: true, devices: top });
    process.env['PATH'] = `${fake.bin}:${searched}`;
    for (const host of ['a', 'b']) fake.dataset(dataset(host));
    fake.run('create', '-V', String(SIZE), '-b', '16384', '-o', 'x:y=z', `${dataset('a')}/${NAME}`);
    world = await openWithGuest('zvol', path.join(top, dataset('a'), NAME), (host) => ({
      devices: path.join(top, dataset(host)),
      make: { zfs: dataset(host), ...(host === 'b' ? { sparse: true } : {}) },
    }));
  });
  after(async () => {
    await world?.close();
    process.env['PATH'] = searched;
    fake?.end();
    if (top !== undefined) await rm(top, { recursive: true, force: true });
  });

  test('a guest keeps its ZFS volume if the migration is cancelled, and the new volume is removed', async () => {
    const id = await begin(world, { guest: 'db1', from: 'a', to: 'b', ...SLOW });
    await untilCopied(world, id);
    assert.deepEqual(children('b')[NAME]?.props, { 'godwit:migration': id });
    await world.agent('a').cancel({ params: { id } });
    assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
    assert.deepEqual(children('b'), {});
    assert.deepEqual(await readdir(path.join(top, dataset('b'))), []);
    await whole(world, 'a');
  });

  test('a guest arrives on a sparse ZFS volume, which stays, and is not moved back over its old one', async () => {
    const report = await move(world, { guest: 'db1', from: 'a', to: 'b', verifyDisks: true });
    assert.equal(report.diskCheck?.verdict, 'equal', JSON.stringify(report.diskCheck));
    const made = children('b')[NAME];
    assert.deepEqual([made?.bytes, made?.props, made?.sparse], [SIZE, {}, true]);
    await whole(world, 'b');
    const refused = await checkedRefusal(world, { guest: 'db1', from: 'b', to: 'a' });
    assert.ok(refused !== undefined);
    assertSays(refused, 'GODWIT_DISK_PLACE', `${dataset('a')}/${NAME} is there already`);
  });
});
