import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import path from 'node:path';
import { promisify } from 'node:util';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { readGuestStats, verifyGuest } from '../../lab/guest/talk.ts';
import { labHost } from '../../lab/state.ts';
import { runningOn, seenQemus } from '../../lab/witness/qemus.ts';
import type { Standby } from '../../src/protocol/public/recovery.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { until } from '../until.ts';
import { makeHook, type Hook } from './support/fence-hook.ts';
import { LabController } from './support/lab-controller.ts';
import { askGuestQemu } from './support/monitors.ts';
import { killMover } from './support/movers.ts';
import { follow, reportAtEnd } from './support/moves.ts';
import { setPath } from './support/paths.ts';
import { isRequestEnd } from '../../src/protocol/controller/fleet-request.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const run = promisify(execFile);
const GUEST = `rec${process.pid}`;
/** An emulated guest boots within that time on a busy machine, ms. */
const BOOTS_MS = 120_000;

describe('a guest of a dead host', () => {
  let world: World;
  let hook: Hook;
  let asked = 0;
  let disk: string;

  before(async () => {
    hook = makeHook();
    world = await openWorld('recov', {
      hosts: 3,
      storage: 'shared',
      configure: () => ({
        fencing: { command: [hook.command], timeoutMs: 30_000, silenceMs: 5000 },
      }),
    });
    const guest = await startGuest(world.lab, {
      name: GUEST,
      host: 'a',
      memoryBytes: 192 * MIB,
      workingSetBytes: 16 * MIB,
      disks: [{ bytes: 64 * MIB, thin: false }],
    });
    [disk = ''] = guest.disks ?? [];
  });
  after(async () => {
    await world?.close();
    hook?.remove();
  });

  async function ordered(at: string, off: string[] = [], insist?: string): Promise<string> {
    asked += 1;
    const id = `m-recover${asked}${process.pid.toString(36)}`;
    const body = { guest: GUEST, from: 'a', off, ...(insist !== undefined && { insist }) };
    await world.agent(at).putRecovery({ params: { id }, body }, { deadlineMs: 30_000 });
    return id;
  }

  async function keptAt(host: string): Promise<Standby | undefined> {
    const { standbys } = await world.agent(host).standbys();
    return standbys.find(({ guest }) => guest === GUEST);
  }

  async function recovered(at: string, off: string[] = []): Promise<Report> {
    return reportAtEnd(world, at, await ordered(at, off));
  }

  function assertUnproved({ outcome, error }: Report, why: RegExp): void {
    assert.equal(outcome, 'failed');
    assert.equal(error?.code, 'GODWIT_RECOVERY_UNPROVED');
    assert.match(error?.message ?? '', why);
  }

  test('a guest is kept by other hosts while its own lives, after every check of a cold move to them', async () => {
    const none = world.agent('b').putRecovery({
      params: { id: 'm-recover0' },
      body: { guest: GUEST, from: 'a' },
    });
    await assert.rejects(none, { code: 'GODWIT_STANDBY_NONE' });
    for (const to of ['b', 'c'])
      await world
        .agent('a')
        .putStandby({ params: { guest: GUEST }, body: { to } }, { deadlineMs: 60_000 });
    const { standbys } = await world.agent('b').standbys();
    assert.deepEqual(
      standbys.map(({ guest, from }) => [guest, from]),
      [[GUEST, 'a']],
    );
  });

  test('a guest is described again within seconds of a snapshot, and the kept description is fresh', async () => {
    const snapshot = `${disk}.overlay`;
    const blocks = (await askGuestQemu(world, GUEST, 'a', 'query-block')) as {
      inserted?: { 'node-name': string };
    }[];
    const node = blocks.find(({ inserted }) => inserted !== undefined)?.inserted?.['node-name'];
    await askGuestQemu(world, GUEST, 'a', 'blockdev-snapshot-sync', {
      'node-name': node,
      'snapshot-node-name': 'overlay0',
      'snapshot-file': snapshot,
      format: 'qcow2',
    });
    disk = snapshot;
    await until('both hosts to keep the snapshot', 120_000, async () => {
      const kept = await Promise.all(['b', 'c'].map((host) => keptAt(host)));
      const has = (each: Standby | undefined): boolean =>
        each?.disks?.includes('.overlay (qcow2) on ') === true && each.stale === undefined;
      return kept.every(has) ? true : undefined;
    });
  });

  test('a guest is not started elsewhere while its host answers, and the fencing hook is not called', async () => {
    assertUnproved(await recovered('b'), /was not called for a/);
    assert.deepEqual(hook.calls(), []);
    assert.deepEqual(await runningOn(world.lab, GUEST), ['a']);
  });

  test('a guest is not started on silence alone: the hook must prove that its host is off', async () => {
    await stopAgent(world.lab, 'a', 'SIGKILL');
    await setPath(world, 'a', 0, 'black hole');
    assertUnproved(await recovered('b'), /no answer from its power supply/);
    assert.deepEqual(hook.calls(), [`a source ${GUEST}`]);
    assert.deepEqual(await runningOn(world.lab, GUEST), ['a']);
  });

  test('a guest is not started while another host that could have it is silent', async () => {
    const pids = (await seenQemus(world.lab)).map(({ pid }) => pid);
    hook.says('kill', pids);
    await stopAgent(world.lab, 'c', 'SIGKILL');
    assertUnproved(await recovered('b'), /c could have it, and does not answer/);
    assert.deepEqual(await runningOn(world.lab, GUEST), []);
  });

  test('a guest is not started on an image that became a backing file of a snapshot, and no host is fenced', async () => {
    // As after a backup of its state was brought back: c does not know when a confirmed what it keeps.
    rmSync(path.join(labHost(world.lab, 'c').stateDir, 'standbys', 'a', 'confirmed'));
    await startAgent(world.lab, 'c');
    const before = hook.calls();
    const overlay = `${disk}.snapshot`;
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', disk, overlay]);
    const { outcome, error } = await recovered('b');
    assert.equal(outcome, 'failed');
    assert.equal(error?.code, 'GODWIT_DISK_OVERLAID');
    assert.match(error?.message ?? '', new RegExp(`${overlay} names `));
    assert.deepEqual(hook.calls(), before);
    assert.deepEqual(await runningOn(world.lab, GUEST), []);
    rmSync(overlay);
  });

  test('a guest is started once its host is proved off and no other has it, even if its mover dies', async () => {
    const id = await ordered('b');
    await follow(world, 'b', id, ({ phase }) => phase === 'memory');
    await killMover(world, 'b', id);
    const report = await reportAtEnd(world, 'b', id);
    assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    await until('the guest to be up', BOOTS_MS, async () => {
      const said = await readGuestStats(world.lab, GUEST).catch(() => undefined);
      return said?.ready === true ? said : undefined;
    });
    assert.deepEqual(await runningOn(world.lab, GUEST), ['b']);
    assert.equal((await verifyGuest(world.lab, GUEST)).ok, true);
  });

  test('a guest is not started from an unconfirmed description unless an operator has seen the images', async () => {
    const refused = ordered('c');
    await assert.rejects(refused, { code: 'GODWIT_STANDBY_STALE' });
    const { number, stale } = (await keptAt('c')) ?? {};
    assert.match(stale ?? '', /never confirmed/);
    const report = await reportAtEnd(world, 'c', await ordered('c', [], number));
    assertUnproved(report, /b has .*running/);
    assert.deepEqual(await runningOn(world.lab, GUEST), ['b']);
  });
});

describe('a guest of a dying host under a controller', () => {
  let world: World;
  let controller: LabController;
  let hook: Hook;

  before(async () => {
    hook = makeHook();
    world = await openWorld('recvc', {
      hosts: 3,
      storage: 'shared',
      configure: () => ({
        fencing: { command: [hook.command], timeoutMs: 30_000, silenceMs: 5000 },
      }),
    });
    for (const name of [GUEST, `${GUEST}x`])
      await startGuest(world.lab, {
        name,
        host: 'a',
        ...SMALL_GUEST,
        disks: [{ bytes: 64 * MIB, thin: false }],
      });
    const set = { 'godwit/recover': 'true' };
    await world.agent('a').labelGuest({ params: { guest: GUEST }, body: { set } });
    controller = new LabController(world);
    await controller.prepare({ recover: { policy: 'start', silentMs: 15_000 } });
    await controller.start();
  });
  after(async () => {
    await controller?.close();
    await world?.close();
    hook?.remove();
  });

  test('a guest is kept by two other hosts, and a host that answers is not recovered', async () => {
    await until('both hosts to keep it', 90_000, async () => {
      const kept = await Promise.all(['b', 'c'].map((host) => world.agent(host).standbys()));
      return kept.every(({ standbys }) => standbys.length === 1) ? true : undefined;
    });
    const refused = await controller.godwit('recover', 'a', '--dry-run');
    assert.equal(refused.exit, 2, refused.out);
    assert.match(refused.err, /a answers/);
  });

  test('a guest is started elsewhere by the policy, once, and guests without a request are named', async () => {
    const pids = (await seenQemus(world.lab)).map(({ pid }) => pid);
    hook.says('kill', pids);
    await stopAgent(world.lab, 'a', 'SIGKILL');
    await setPath(world, 'a', 0, 'black hole');
    const request = await until('the recovery to end', 240_000, async () => {
      const { requests } = await controller.api.requests();
      const found = requests.find(({ ask }) => ask.kind === 'recover');
      return found !== undefined && isRequestEnd(found.phase) ? found : undefined;
    });
    assert.equal(request.moved, 1, request.words);
    assert.equal(request.phase, 'left');
    assert.deepEqual(
      request.stays.map(({ guest, words }) => [guest, words]),
      [[`${GUEST}x`, 'its label godwit/recover does not ask for it']],
    );
    const [home, ...others] = await runningOn(world.lab, GUEST);
    assert.ok(home === 'b' || home === 'c', String(home));
    assert.deepEqual(others, []);
    await until('the controller to list it once', 30_000, async () => {
      const { guests } = await controller.api.guests({ query: { name: GUEST } });
      return guests.length === 1 && guests[0]?.host === home ? true : undefined;
    });
    await until('the guest to be up', BOOTS_MS, async () => {
      const said = await readGuestStats(world.lab, GUEST).catch(() => undefined);
      return said?.ready === true ? said : undefined;
    });
  });
});
