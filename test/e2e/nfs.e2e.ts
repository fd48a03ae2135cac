import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { AgentConfigInput } from '../../src/config.ts';
import { labDown } from '../../lab/down.ts';
import { chooseQemu } from '../../lab/guest/qemu.ts';
import { startGuest } from '../../lab/guest/start.ts';
import type { LabGuest } from '../../lab/guest/registry.ts';
import { stopGuest } from '../../lab/guest/stop.ts';
import { existingNamespaces } from '../../lab/namespaces.ts';
import { LAB_NFS_URL } from '../../lab/nfs.ts';
import { storageClientLacks, storageLacks } from '../../lab/storage.ts';
import { isAlive } from '../../src/system/processes/process.ts';
import { processesInNamespaces, signalProcess } from '../../lab/processes.ts';
import { storageDirectory } from '../../lab/state.ts';
import { labStatus } from '../../lab/status.ts';
import { runningOn, seenQemus } from '../../lab/witness/qemus.ts';
import { assertWrites, proofsIn } from './support/disks.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { askGuestQemu } from './support/monitors.ts';
import {
  assertSays,
  begin,
  directionOf,
  move,
  refusalOf,
  reportAtEnd,
  SLOW,
  unlessForbidden,
  untilMemoryFlows,
  type Move,
} from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const run = promisify(execFile);
const lacking =
  (await storageLacks('nfs')) ??
  (await chooseQemu(undefined).then(
    ({ path: file }) => storageClientLacks({ storage: 'nfs' }, file),
    () => undefined,
  ));

const skip = lacking?.message ?? false;

describe('a guest with disks on an unmounted NFS export', { skip }, () => {
  let world: World;
  let guest: LabGuest;

  before(async () => {
    const other = [{ nfs: LAB_NFS_URL.replace(/[^/]*$/, 'other') }];
    const configure = (host: string): Partial<AgentConfigInput> =>
      host === 'c' ? { storage: other } : {};
    world = await openWorld('nfs', { hosts: 3, storage: 'nfs', configure });
    const thin = { bytes: 64 * MIB, thin: true, backed: true };
    const raw = { bytes: 32 * MIB, thin: false };
    const words = { disks: [thin, raw], kernelWords: FEW_PLACES };
    guest = await startGuest(world.lab, { name: 'db1', host: 'a', ...SMALL_GUEST, ...words });
  });
  after(() => world?.close());

  const there = () => directionOf(world, 'db1');

  /** What its QEMU on a host has open on the export, and what of it is active: where QEMU says that (10.0). */
  async function nodesOn(host: string): Promise<{ file: string; active: boolean | undefined }[]> {
    const reported = await askGuestQemu(world, 'db1', host, 'query-named-block-nodes', {
      flat: true,
    });
    const nodes = reported as { drv: string; file: string; active?: boolean }[];
    return nodes.filter(({ drv }) => drv === 'nfs').map(({ file, active }) => ({ file, active }));
  }

  /** It runs on `host` alone, with the very images, writes there, and what it wrote is there. */
  async function whole(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, 'db1'), [host]);
    const files = ['disk0-base.qcow2', 'disk0.qcow2', 'disk1.raw'];
    const nodes = await nodesOn(host);
    assert.deepEqual(
      nodes.map(({ file }) => file).toSorted(),
      files.map((file) => `${LAB_NFS_URL}/db1/${file}`),
    );
    assert.ok(nodes.every(({ active }) => active !== false));
    await assertWrites(world, 'db1');
    await nothingLeft();
    await assertOnlyGuests(world, { [host]: ['db1'] });
  }

  /** Of a proof. */
  async function nothingLeft(): Promise<void> {
    assert.deepEqual(await proofsIn(storageDirectory(world.lab, 'a')), []);
  }

  async function moved(request: Partial<Move>): Promise<void> {
    const { from, to } = await there();
    const report = await move(world, { guest: 'db1', from, to, ...request });
    const reported = report.checks
      .filter(({ name }) => name === 'disks')
      .map((each) => each.evidence);
    assert.ok(
      reported.some((text) => /each read what the other wrote.*without image locks/.test(text)),
    );
    await whole(to);
  }

  test('a guest moves by pre-copy, and returns', async () => {
    await whole('a');
    await moved({});
    await moved({});
  });

  test('a guest moves by post-copy', async (t) => {
    await unlessForbidden(t, () => moved({ mode: 'postcopy' }));
  });

  test('a disk is written by one QEMU alone during the move, and its guest keeps running after a cancel', async () => {
    const { from, to } = await there();
    const id = await begin(world, { guest: 'db1', from, to, ...SLOW });
    await untilMemoryFlows(world, from, id);
    const [here, other] = [await nodesOn(from), await nodesOn(to)];
    assert.deepEqual([here.length, other.length], [3, 3]);
    assert.ok(
      here.every(({ active }) => active !== false),
      JSON.stringify(here),
    );
    assert.ok(
      other.every(({ active }) => active !== true),
      JSON.stringify(other),
    );
    await world.agent(from).cancel({ params: { id } });
    assert.equal((await reportAtEnd(world, from, id)).outcome, 'cancelled');
    await whole(from);
  });

  test('a guest is refused by a host whose storage is another export, and nothing is left of the trial', async () => {
    const { from } = await there();
    const error = await refusalOf(world, { guest: 'db1', from, to: 'c' });
    const said = ['none of the `storage` of c', 'NFS export is not copied', `${LAB_NFS_URL}/db1/`];
    assertSays(error, 'GODWIT_DISK_LOCAL', 'db1', ...said);
    await whole(from);
  });

  test('a guest leaves whole images behind', async () => {
    for (const { pid } of await seenQemus(world.lab)) signalProcess(pid, 'SIGTERM');
    await until('QEMU to end', 10_000, async () =>
      (await seenQemus(world.lab)).length === 0 ? true : undefined,
    );
    const [qcow2 = ''] = guest.disks ?? [];
    // As a file of the server's, which knows nothing of where hosts see its backing file.
    const image = { driver: 'qcow2', file: { driver: 'file', filename: qcow2 }, backing: null };
    await run('qemu-img', ['check', '-q', `json:${JSON.stringify(image)}`]);
    await stopGuest(world.lab, 'db1');
    assert.deepEqual(await readdir(storageDirectory(world.lab, 'a')), []);
  });

  test('the server of a guest is known to `lab status` and ends with its lab', async () => {
    const { name, entry, namespaces } = world.lab;
    const { nfs } = await labStatus(name);
    assert.deepEqual(nfs, { url: LAB_NFS_URL, serverUp: true });
    const inode = namespaces[`gw-${name}-nfs`] ?? 0;
    const server = await processesInNamespaces(new Set([inode]));
    assert.equal(server.length, 2, JSON.stringify(server));
    await labDown(name);
    for (const each of server) assert.equal(isAlive(each), false);
    assert.deepEqual(await existingNamespaces(entry, name), []);
  });
});
