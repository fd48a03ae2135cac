import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { inHost } from '../../lab/entry.ts';
import type { DiskRequest } from '../../lab/guest/disks.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { readGuestStats, verifyGuest } from '../../lab/guest/talk.ts';
import { storageDirectory } from '../../lab/state.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { until } from '../until.ts';
import { askGuestQemu } from './support/monitors.ts';
import {
  assertSays,
  begin,
  directionOf,
  follow,
  reportAtEnd,
  unlessForbidden,
  untilMemoryFlows,
} from './support/moves.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;
/** Its memory takes seconds, and what it writes meanwhile does not keep it. */
const UNHURRIED = { maxBandwidth: 8 * MIB, maxDowntimeMs: 3000 } as const;
const GUEST = 'cd1';
/** Its root bus takes devices while it runs. */
const MACHINE = 'pc-i440fx-7.2';

type Order = (command: string, args?: Record<string, unknown>) => Promise<unknown>;

/** A guest with an empty drive for CDs, on the first host. */
async function guestWithDrive(world: World, disks?: readonly DiskRequest[]): Promise<void> {
  const { name } = await startGuest(world.lab, {
    ...SMALL_GUEST,
    host: 'a',
    name: GUEST,
    machineType: MACHINE,
    ...(disks === undefined ? {} : { disks }),
  });
  const order = orderAt(world, 'a');
  await order('device_add', { driver: 'virtio-scsi-pci', id: 'scsi0' });
  await order('device_add', { driver: 'scsi-cd', id: 'cd0', bus: 'scsi0.0' });
  assert.equal(name, GUEST);
}

function orderAt(world: World, host: string): Order {
  return (command, args = {}) => askGuestQemu(world, GUEST, host, command, args);
}

async function putIn(order: Order, filename: string): Promise<unknown> {
  const given = { id: 'cd0', filename, format: 'raw', 'read-only-mode': 'read-only' };
  return order('blockdev-change-medium', given);
}

/** The file in its drive; undefined if it is empty. */
async function mediumAt(world: World, host: string): Promise<string | undefined> {
  const drives = (await orderAt(world, host)('query-block')) as {
    qdev?: string;
    inserted?: { image: { filename: string } };
  }[];
  return drives.find(({ qdev }) => qdev?.includes('cd0'))?.inserted?.image.filename;
}

/** The owner does that once memory flows. */
async function changedMove(world: World, change: (order: Order) => Promise<unknown>) {
  const { from, to } = await directionOf(world, GUEST);
  const id = await begin(world, { guest: GUEST, from, to, ...UNHURRIED });
  await untilMemoryFlows(world, from, id);
  await change(orderAt(world, from));
  return { from, to, report: await reportAtEnd(world, from, id) };
}

function carried({ outcome, error, checks }: Report): string {
  assert.equal(outcome, 'done', JSON.stringify(error));
  const found = checks.find(({ evidence }) => evidence.includes('carried over'));
  return found?.evidence ?? '';
}

describe('a CD that the owner changes while the guest moves', () => {
  let world: World;
  let directory: string;

  before(async () => {
    world = await openWorld('owner', { hosts: 2 });
    directory = path.join(storageDirectory(world.lab, 'a'), 'iso');
    await mkdir(directory, { recursive: true });
    for (const [index, name] of ['one.iso', 'two.iso'].entries())
      await writeFile(path.join(directory, name), Buffer.alloc(2 * MIB, index + 1));
    await guestWithDrive(world, [{ bytes: 32 * MIB, thin: false }]);
  });
  after(() => world?.close());

  test('a changed CD arrives in the drive, and so do the next one, a larger disk and a link that is down', async () => {
    const [one, two] = [path.join(directory, 'one.iso'), path.join(directory, 'two.iso')];
    const put = await changedMove(world, (order) => putIn(order, one));
    assert.match(carried(put.report), /a medium was put into cd0: raw .*one\.iso/);
    assert.equal(await mediumAt(world, put.to), one);

    const changed = await changedMove(world, async (order) => {
      await putIn(order, two);
      const [disk] = (await order('query-block')) as { inserted: { 'node-name': string } }[];
      const node = disk?.inserted['node-name'];
      await order('block_resize', { 'node-name': node, size: 48 * MIB });
      await order('set_link', { name: 'nic0', up: false });
    });
    const words = carried(changed.report);
    assert.match(words, /the medium of cd0 was changed from raw .*one\.iso to/);
    assert.match(words, /disk0-dev was resized from 32 MiB to 48 MiB/);
    const there = orderAt(world, changed.to);
    assert.equal(await mediumAt(world, changed.to), two);
    const nodes = (await there('query-named-block-nodes', { flat: true })) as {
      drv: string;
      image: { 'virtual-size': number };
    }[];
    assert.ok(nodes.some(({ image }) => image['virtual-size'] === 48 * MIB));
    await assert.rejects(readGuestStats(world.lab, GUEST, { deadlineMs: 2000 }));
    await there('set_link', { name: 'nic0', up: true });
    // Its own next frame would come after 15 s and more.
    await until('the guest to answer again', 8000, () =>
      readGuestStats(world.lab, GUEST, { deadlineMs: 2000 }).catch(() => undefined),
    );

    const out = await changedMove(world, (order) => order('eject', { id: 'cd0', force: true }));
    assert.match(carried(out.report), /the medium of cd0 was taken out/);
    assert.equal(await mediumAt(world, out.to), undefined);
    assert.ok((await verifyGuest(world.lab, GUEST)).ok);
  });

  test("a guest whose CD cannot be opened at the destination is taken back, with the CD's name", async () => {
    const elsewhere = path.join(world.lab.dir, 'elsewhere.iso');
    await writeFile(elsewhere, Buffer.alloc(MIB, 7));
    await chmod(elsewhere, 0o644);
    const { from, report } = await changedMove(world, (order) => putIn(order, elsewhere));
    assert.deepEqual([report.outcome, report.runsAt], ['failed', 'source']);
    assert.ok(report.error !== undefined);
    assertSays(
      report.error,
      'GODWIT_GUEST_CHANGED',
      'put into cd0',
      'elsewhere.iso',
      'cannot follow',
    );
    assert.deepEqual(await runningOn(world.lab, GUEST), [from]);
    assert.equal(await mediumAt(world, from), elsewhere);
    await orderAt(world, from)('eject', { id: 'cd0', force: true });
  });

  test("a guest whose port is isolated by its owner meanwhile stays at its source, with the port's name", async () => {
    const inside = async (host: string, ...words: string[]): Promise<string> => {
      const [program = '', ...rest] = inHost(world.lab, host, ['bridge', ...words]);
      return (await promisify(execFile)(program, rest)).stdout;
    };
    const portAt = async (host: string): Promise<{ ifname: string; isolated: boolean }> => {
      const all = JSON.parse(await inside(host, '-d', '-j', 'link', 'show')) as {
        ifname: string;
        isolated: boolean;
      }[];
      return all.find(({ ifname }) => /^(tap|gw)/.test(ifname)) ?? assert.fail('no port');
    };
    const { from } = await directionOf(world, GUEST);
    const { ifname } = await portAt(from);
    const set = (value: string) => inside(from, 'link', 'set', 'dev', ifname, 'isolated', value);
    const { report } = await changedMove(world, () => set('on'));
    assert.deepEqual([report.outcome, report.runsAt], ['failed', 'source']);
    assert.ok(report.error !== undefined);
    assertSays(report.error, 'GODWIT_GUEST_CHANGED', 'isolated of the port', 'from unset to on');
    assert.equal((await portAt(from)).isolated, true);
    assert.deepEqual(await runningOn(world.lab, GUEST), [from]);
    await set('off');
    const back = await changedMove(world, () => Promise.resolve());
    assert.equal(back.report.outcome, 'done', JSON.stringify(back.report.error));
    assert.ok((await verifyGuest(world.lab, GUEST)).ok);
  });
});

describe('a CD on storage of its host that the owner changes while the guest moves', () => {
  let world: World;

  before(async () => {
    world = await openWorld('lowner', { hosts: 2, storage: 'local' });
    await guestWithDrive(world);
  });
  after(() => world?.close());

  test('a guest that its owner pauses once it runs at its destination stays paused', async (t) => {
    const { from, to } = await directionOf(world, GUEST);
    const asked = { guest: GUEST, from, to, mode: 'postcopy', ...UNHURRIED } as const;
    await unlessForbidden(t, async () => {
      const id = await begin(world, { ...asked, maxBandwidth: 4 * MIB });
      await follow(world, from, id, ({ phase }) => phase === 'draining');
      const order = orderAt(world, to);
      await order('stop');
      const report = await reportAtEnd(world, from, id);
      assert.deepEqual(
        [report.outcome, report.runsAt, report.halted?.kind],
        ['done', 'destination', 'paused'],
        JSON.stringify(report.error),
      );
      assert.equal(((await order('query-status')) as { status: string }).status, 'paused');
      await order('cont');
      assert.ok((await verifyGuest(world.lab, GUEST)).ok);
    });
  });

  test('a CD is found at the destination by its content', async () => {
    const { from, to: other } = await directionOf(world, GUEST);
    const [here, there] = [from, other].map((host) =>
      path.join(storageDirectory(world.lab, host), 'tools.iso'),
    ) as [string, string];
    await writeFile(here, Buffer.alloc(3 * MIB, 9));
    await copyFile(here, there);
    const { report, to } = await changedMove(world, (order) => putIn(order, here));
    assert.match(carried(report), /put into cd0: raw .*tools\.iso/);
    assert.equal(await mediumAt(world, to), there);
  });
});
