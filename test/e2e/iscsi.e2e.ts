import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AgentConfigInput } from '../../src/config.ts';
import { labDown } from '../../lab/down.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { stopGuest } from '../../lab/guest/stop.ts';
import {
  addLun,
  addTarget,
  askTarget,
  initiatorOf,
  LAB_IQN,
  LAB_ISCSI_URL,
  startTarget,
  targetPlace,
} from '../../lab/iscsi.ts';
import { existingNamespaces } from '../../lab/namespaces.ts';
import { hostAddress, namespaceOf } from '../../lab/plan.ts';
import { processesInNamespaces, signalProcess } from '../../lab/processes.ts';
import { labHost, storageDirectory } from '../../lab/state.ts';
import { labStatus } from '../../lab/status.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { assertWrites } from './support/disks.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { askGuestQemu } from './support/monitors.ts';
import { assertSays, move, refusalOf, unlessForbidden, type Move } from './support/moves.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const SETUP = path.join(import.meta.dirname, '../../tools/setup.sh');
const PASSWORD = 'only the lab knows';
const passwordOf = (stateDir: string): string => path.join(stateDir, 'iscsi.password');
const GUEST = `iscsi1-${process.pid.toString(36)}`;

execFileSync('bash', [SETUP, '--only', 'iscsi'], { stdio: ['ignore', 2, 2] });

/** Hosts a and b reach one target, and c another one that calls itself and its LUNs the same, as copies do. */
describe('a guest on LUNs opened by QEMU', () => {
  let world: World;

  before(async () => {
    const own = { member: 'c', address: hostAddress('c'), port: 3261 };
    const iscsi = `iscsi://${own.address}:${own.port}/${LAB_IQN}`;
    const configure = (host: string, given: AgentConfigInput): Partial<AgentConfigInput> => {
      if (host === 'c') return { storage: [{ iscsi }] };
      const login = { user: 'lab', passwordFile: passwordOf(given.stateDir) };
      const initiator = initiatorOf(host);
      return { storage: [{ iscsi: LAB_ISCSI_URL, initiator, ...login }] };
    };
    world = await openWorld('iscsi', { hosts: 3, storage: 'iscsi', configure });
    const copy = { ...own, dir: path.join(world.lab.dir, 'copy') };
    for (const host of ['a', 'b']) await setPassword(host, PASSWORD);
    await startTarget(world.lab, copy);
    await addTarget(copy, LAB_IQN);
    for (const [index, size] of [64, 32].entries()) {
      const file = path.join(copy.dir, `${index}.img`);
      await writeFile(file, randomBytes(size * MIB));
      await addLun(copy, file);
    }
    const disks = [64, 48].map((size) => ({ bytes: size * MIB, thin: false }));
    const words = { disks, kernelWords: FEW_PLACES };
    const guest = await startGuest(world.lab, { name: GUEST, host: 'a', ...SMALL_GUEST, ...words });
    assert.deepEqual(guest.disks, [`${LAB_ISCSI_URL}/1`, `${LAB_ISCSI_URL}/2`]);
  });
  after(async () => {
    if (world !== undefined) await freeze(false);
    await world?.close();
  });

  async function setPassword(host: string, password: string): Promise<void> {
    await writeFile(passwordOf(labHost(world.lab, host).stateDir), password, { mode: 0o600 });
  }

  /** The target's daemon is stalled, or goes on. */
  async function freeze(frozen: boolean): Promise<void> {
    const { name, namespaces } = world.lab;
    const inode = namespaces[namespaceOf(name, 'iscsi')] ?? 0;
    for (const { pid } of await processesInNamespaces(new Set([inode]))) {
      signalProcess(pid, frozen ? 'SIGSTOP' : 'SIGCONT');
    }
  }

  async function whole(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, GUEST), [host]);
    const reported = await askGuestQemu(world, GUEST, host, 'query-named-block-nodes', {
      flat: true,
    });
    const nodes = reported as { drv: string; active?: boolean }[];
    const clients = nodes.filter(({ drv }) => drv === 'iscsi');
    assert.equal(clients.length, 2);
    assert.ok(clients.every(({ active }) => active !== false));
    await assertWrites(world, GUEST);
  }

  async function moved(request: Partial<Move>): Promise<string[]> {
    const [from = ''] = await runningOn(world.lab, GUEST);
    const to = from === 'a' ? 'b' : 'a';
    const report = await move(world, { guest: GUEST, from, to, ...request });
    await whole(to);
    return report.checks.filter(({ name }) => name === 'disks').map((each) => each.evidence);
  }

  test('a guest moves by pre-copy, and returns, and stays on its LUNs', async () => {
    await whole('a');
    const reported = await moved({});
    const shared = reported.filter((text) =>
      /see a LUN of the same target, ids and size/.test(text),
    );
    assert.equal(shared.length, 2, reported.join('\n'));
    await moved({});
  });

  test('a guest moves by post-copy', async (t) => {
    await unlessForbidden(t, () => moved({ mode: 'postcopy' }));
  });

  test('a guest is refused if LUNs with the same identity have other content, or less', async () => {
    const [from = ''] = await runningOn(world.lab, GUEST);
    const error = await refusalOf(world, { guest: GUEST, from, to: 'c' });
    const said = ['the device of the same ids holds something else', 'is not copied'];
    assertSays(error, 'GODWIT_DISK_LOCAL', GUEST, ...said);
    await whole(from);
  });

  test('a guest is refused in time while its target is stalled, and keeps running after that', async () => {
    const [from = ''] = await runningOn(world.lab, GUEST);
    await freeze(true);
    const error = await refusalOf(world, { guest: GUEST, from, to: from === 'a' ? 'b' : 'a' });
    assertSays(error, 'GODWIT_DISK_LOCAL', GUEST, 'took longer than 5.0 s');
    await freeze(false);
    await whole(from);
  });

  test('a guest moves to a target with a login, by a password that is in no argument', async () => {
    const place = targetPlace(world.lab);
    const account = ['--mode', 'account', '--user', 'lab'];
    await askTarget(place, '--op', 'new', ...account, '--password', PASSWORD);
    await askTarget(place, '--op', 'bind', ...account, '--tid', '1');
    await moved({});
    await moved({ mode: 'postcopy' });
    const [host = ''] = await runningOn(world.lab, GUEST);
    const inode = world.lab.namespaces[labHost(world.lab, host).namespace] ?? 0;
    const here = await processesInNamespaces(new Set([inode]));
    const words = here.flatMap(({ argv }) => argv);
    assert.ok(words.some((word) => word.includes('password-secret')));
    assert.ok(!words.some((word) => word.includes(PASSWORD)));
  });

  test('a guest is refused if the host has another password than the target, and keeps running', async () => {
    const [from = ''] = await runningOn(world.lab, GUEST);
    const to = from === 'a' ? 'b' : 'a';
    await setPassword(to, 'another of its kind');
    const error = await refusalOf(world, { guest: GUEST, from, to });
    assertSays(error, 'GODWIT_DISK_LOCAL', GUEST, 'wants a login (CHAP), or another one');
    await setPassword(to, PASSWORD);
    await whole(from);
  });

  test('a stopped guest leaves nothing, and its target ends with the lab', async () => {
    const { name, entry } = world.lab;
    assert.deepEqual((await labStatus(name)).iscsi, { url: LAB_ISCSI_URL, serverUp: true });
    await stopGuest(world.lab, GUEST);
    assert.deepEqual(await readdir(storageDirectory(world.lab, 'a')), []);
    await labDown(name);
    assert.deepEqual(await existingNamespaces(entry, name), []);
  });
});
