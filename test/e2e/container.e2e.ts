import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { signalProcess } from '../../lab/processes.ts';
import { readGuestStats, verifyGuest } from '../../lab/guest/talk.ts';
import type { ClientView } from '../../lab/probe/probe.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { labRunc } from '../../lab/container/launch.ts';
import { runcRoot } from '../../lab/container/places.ts';
import { startContainer } from '../../lab/container/start.ts';
import { labHost } from '../../lab/state.ts';
import { cgroupsOf, containerRunsOn } from '../../lab/witness/containers.ts';
import { bringContainers } from '../drivers/criu/bring.ts';
import { until } from '../until.ts';
import { godwit } from './support/cli.ts';
import { keepsConnection, untilNoneLeft } from './support/containers.ts';
import { begin, follow, move, reportAtEnd, SLOW, untilMemoryFlows } from './support/moves.ts';
import { killMover } from './support/movers.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const BOX = `box-${process.pid}`;
const skip = process.getuid?.() === 0 ? false : 'CRIU and runc need root';

describe('a container with a live TCP client', { skip }, () => {
  let world: World;
  let hash: string;

  before(async () => {
    await bringContainers();
    world = await openWorld('box', { hosts: 2, containers: true });
    await startContainer(world.lab, {
      name: BOX,
      host: 'a',
      staticBytes: 48 * MIB,
      dirtyBytes: 16 * MIB,
      dirtyBytesPerSecond: MIB,
    });
    ({ hash } = await verifyGuest(world.lab, BOX));
  });
  after(async () => {
    await world?.close();
    assert.deepEqual(await cgroupsOf(BOX), []);
  });

  /** One copy runs, on that host; its client has the connection it had, and its memory is what it was. */
  async function unharmed(host: string, work: () => Promise<unknown>): Promise<ClientView> {
    const view = await keepsConnection(world, BOX, work);
    assert.deepEqual(await containerRunsOn(world.lab, BOX), [host]);
    const found = await verifyGuest(world.lab, BOX);
    assert.partialDeepStrictEqual(found, { ok: true, hash, badChunks: 0 });
    return view;
  }

  /** The mode of its first process: 2 with a filter. */
  async function seccompOn(host: string): Promise<number> {
    const state = await labRunc(runcRoot(labHost(world.lab, host).stateDir), ['state', BOX]);
    const { pid } = JSON.parse(state) as { pid: number };
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^Seccomp:\s+(\d)$/m.exec(status)?.[1]);
  }

  test('a container is listed next to virtual machines, and checked without being touched', async () => {
    const { exit, out } = await godwit(world, 'guests', '--json');
    assert.equal(exit, 0, out);
    assert.match(out, new RegExp(`"${BOX}"`));
    assert.match(out, /"criu"/);
    await unharmed('a', async () => {
      const checked = await godwit(world, 'migrate', BOX, '--to', 'b', '--dry-run');
      assert.equal(checked.exit, 0, checked.out + checked.err);
    });
    await untilNoneLeft(world, 'b');
  });

  test('a container moves and returns with its connection and its memory', async (t) => {
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      let report: Report | undefined;
      const view = await unharmed(to, async () => {
        report = await move(world, { guest: BOX, from, to });
      });
      assert.equal(report?.runsAt, 'destination');
      assert.equal(await seccompOn(to), 2, 'its filter comes in the images');
      t.diagnostic(
        `${from} to ${to}: gap ${view.clientGapMs} ms, stopped ${report?.blackoutMs ?? 0} ms`,
      );
      await untilNoneLeft(world, from);
    }
  });

  test('a container keeps running at the source when it is cancelled while memory flows', async () => {
    await unharmed('a', async () => {
      const id = await begin(world, { guest: BOX, from: 'a', to: 'b', ...SLOW });
      await untilMemoryFlows(world, 'a', id);
      await world.agent('a').cancel({ params: { id } });
      assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
    });
    await untilNoneLeft(world, 'b');
  });

  for (const side of ['a', 'b'] as const) {
    test(`a container keeps running at the source when the mover of ${side} is killed while memory flows`, async () => {
      await unharmed('a', async () => {
        const id = await begin(world, { guest: BOX, from: 'a', to: 'b', ...SLOW });
        await untilMemoryFlows(world, 'a', id);
        await killMover(world, side, id);
        const report = await reportAtEnd(world, 'a', id);
        assert.equal(report.outcome, 'failed', JSON.stringify(report.error));
        assert.equal(report.runsAt, 'source');
      });
      await untilNoneLeft(world, 'b');
    });
  }

  test('a container keeps running at the source when the restore is killed', async () => {
    await unharmed('a', async () => {
      const id = await begin(world, { guest: BOX, from: 'a', to: 'b' });
      const pid = await until('runc to restore', 30_000, async () =>
        restoring(runcRoot(labHost(world.lab, 'b').stateDir)),
      );
      signalProcess(pid, 'SIGKILL');
      const report = await reportAtEnd(world, 'a', id);
      assert.equal(report.outcome, 'failed', JSON.stringify(report.error));
      assert.equal(report.runsAt, 'source');
    });
    await untilNoneLeft(world, 'b');
  });

  /** What a program writes into a file of the container, and what is in it. */
  async function inBox(host: string, script: string): Promise<string> {
    const root = runcRoot(labHost(world.lab, host).stateDir);
    return labRunc(root, ['exec', BOX, '/bin/node', '-e', script]);
  }

  async function startedAnew(host: string, before: string): Promise<string> {
    const { bootId } = await until('the container to be up', 30_000, () =>
      readGuestStats(world.lab, BOX).catch(() => undefined),
    );
    assert.notEqual(bootId, before);
    assert.deepEqual(await containerRunsOn(world.lab, BOX), [host]);
    return bootId;
  }

  test('a container moves cold: it is shut down, and started again with its files, its limits and its filter', async () => {
    let { bootId } = await readGuestStats(world.lab, BOX);
    await inBox('a', "fs.writeFileSync('/note', 'kept')");
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      const id = await begin(world, { guest: BOX, from, to, mode: 'cold' });
      const report = await reportAtEnd(world, from, id);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
      bootId = await startedAnew(to, bootId);
      assert.equal(await inBox(to, "console.log(fs.readFileSync('/note', 'utf8'))"), 'kept\n');
      assert.equal(await seccompOn(to), 2);
      await untilNoneLeft(world, from);
    }
    ({ hash } = await verifyGuest(world.lab, BOX));
  });

  test('a container is started again at the source when its cold move fails', async () => {
    const { bootId } = await readGuestStats(world.lab, BOX);
    const id = await begin(world, { guest: BOX, from: 'a', to: 'b', mode: 'cold', ...SLOW });
    await follow(world, 'a', id, ({ phase }) => phase === 'switchover');
    await killMover(world, 'b', id);
    const report = await reportAtEnd(world, 'a', id);
    assert.equal(report.outcome, 'failed', JSON.stringify(report.error));
    await startedAnew('a', bootId);
    await untilNoneLeft(world, 'b');
    ({ hash } = await verifyGuest(world.lab, BOX));
  });

  test('a container moves after all that', async () => {
    await unharmed('b', () => move(world, { guest: BOX, from: 'a', to: 'b' }));
    await untilNoneLeft(world, 'a');
  });
});

/** The process of runc that restores into that directory of states. */
function restoring(root: string): number | undefined {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const words = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      if (words[0] === 'runc' && words.includes('restore') && words.includes(root))
        return Number(entry);
    } catch {
      // It has ended meanwhile.
    }
  }
  return undefined;
}
