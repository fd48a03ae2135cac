import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { registerAddresses } from '../../lab/guest/addresses.ts';
import { POOL } from '../../lab/libvirt/daemon.ts';
import { domainStates, startDomain, stopDomain } from '../../lab/libvirt/guest.ts';
import { ownFiles, ownTree } from '../../lab/libvirt/mounts.ts';
import { signalProcess } from '../../lab/processes.ts';
import { labHost } from '../../lab/state.ts';
import { receivers, untilJob, untilNoWire } from './support/libvirt-wire.ts';
import { killMover } from './support/movers.ts';
import { begin, move, reportAtEnd, type Move } from './support/moves.ts';
import { setPath } from './support/paths.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const DISK_BYTES = 24 * MIB;
const IMAGE = 'web1-disk0.raw';
const THERE = { guest: 'web1', from: 'a', to: 'b', path: 'wire' } as const;
/** So slow that what befalls the copy befalls it in its midst. */
const SLOW = { maxBandwidth: 3 * MIB } as const;
const HOSTS = ['a', 'b'] as const;

/** libvirt copies them into a socket of the mover, and its QEMU at the destination is reached by the receiver. */
describe('disks of a guest of libvirt that takes the wire', () => {
  let world: World;
  let content: Buffer;

  before(async () => {
    world = await openWorld('lvdisk', { hosts: 2, manager: 'libvirt' });
  });
  after(() => world?.close());
  beforeEach(async () => {
    await startDomain(world.lab, {
      name: 'web1',
      host: 'a',
      memoryBytes: 128 * MIB,
      workingSetBytes: 8 * MIB,
      disks: [{ bytes: DISK_BYTES, thin: false }],
      diskBytesPerSecond: 0,
    });
    await registerAddresses(world.lab);
    // The guest does not look at it: what the copy holds is what lay here.
    content = randomBytes(DISK_BYTES);
    const file = await open(imageAt('a'), 'r+');
    await file.write(content, 0, DISK_BYTES, 0);
    await file.close();
  });
  afterEach(async () => {
    await setPath(world, 'b', 0, 'open');
    await stopDomain(world.lab, 'web1');
  });

  function imageAt(host: string): string {
    return path.join(ownTree(labHost(world.lab, host)), POOL.directory, IMAGE);
  }

  /** It runs there, with its disk, and nothing of it or of the wire is elsewhere. */
  async function assertOnlyAt(host: string): Promise<void> {
    assert.deepEqual(await domainStates(world.lab, 'web1'), [{ host, status: 'running' }]);
    for (const each of HOSTS) {
      const images = ownFiles(labHost(world.lab, each), POOL.directory);
      assert.deepEqual(images, each === host ? [IMAGE] : []);
    }
    assert.equal(content.equals(await readFile(imageAt(host))), true, 'the content of its disk');
    await untilNoWire(world.lab);
  }

  /** Begins a move, and resolves once a part of the disk has gone over. */
  async function inCopy(asked: Move): Promise<string> {
    const id = await begin(world, asked);
    await untilJob(world.lab, 'web1', /File processed:\s+[1-9]/);
    return id;
  }

  test('disks are copied over the wire in both directions, and the report has the bytes on their path', async (t) => {
    for (const way of [THERE, { ...THERE, from: 'b', to: 'a' }]) {
      const { diskLink, wire, checks, verified = [] } = await move(world, way);
      // Who writes to them, at both hosts, and whether the guest answers there.
      const looks = verified.filter(({ name }) => name === 'disks' || name === 'segment');
      assert.deepEqual(
        looks.map(({ name, side, verdict, notTried }) => [name, side, verdict, notTried]),
        [
          ['disks', 'source', 'pass', undefined],
          ['disks', 'destination', 'pass', undefined],
          ['segment', 'destination', 'pass', undefined],
        ],
        JSON.stringify(looks),
      );
      assert.ok((diskLink?.sentBytes ?? 0) >= DISK_BYTES, JSON.stringify(diskLink));
      assert.ok((wire?.streamBytes ?? 0) > MIB, JSON.stringify(wire));
      assert.equal(checks.find(({ name }) => name === 'copies')?.verdict, 'pass');
      t.diagnostic(`${diskLink?.linkBytes} bytes of links for ${DISK_BYTES} of its disk`);
      await assertOnlyAt(way.to);
    }
  });

  test('disks survive a cut of the link for seconds', async () => {
    const id = await inCopy({ ...THERE, ...SLOW, linkGraceMs: 30_000 });
    await setPath(world, 'b', 0, 'black hole');
    await systemClock.sleep(4000);
    await setPath(world, 'b', 0, 'open');
    const report = await reportAtEnd(world, 'a', id);
    assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    assert.ok((report.diskLink?.cuts ?? 0) >= 1, JSON.stringify(report.diskLink));
    await assertOnlyAt('b');
  });

  test('disks stay at their host when the migration is cancelled in the midst of the copy', async () => {
    const id = await inCopy({ ...THERE, ...SLOW });
    const { accepted } = await world.agent('a').cancel({ params: { id } });
    assert.equal(accepted, true);
    assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
    await assertOnlyAt('a');
  });

  for (const [who, kill] of [
    ['the receiver', () => receivers(world.lab, 'b').then((all) => all.map(({ pid }) => pid))],
    ['the mover', undefined],
  ] as const) {
    test(`disks stay at their host when ${who} is killed in the midst of the copy`, async () => {
      const id = await inCopy({ ...THERE, ...SLOW, linkGraceMs: 3000 });
      if (kill === undefined) await killMover(world, 'a', id);
      else for (const pid of await kill()) signalProcess(pid, 'SIGKILL');
      const report = await reportAtEnd(world, 'a', id);
      assert.deepEqual([report.outcome, report.runsAt], ['failed', 'source']);
      assert.deepEqual(report.leftovers, undefined);
      await assertOnlyAt('a');
    });
  }
});
