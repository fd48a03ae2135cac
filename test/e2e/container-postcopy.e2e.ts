import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { replay } from '../../src/drivers/criu/pager/journal.ts';
import { pagersIn } from '../../src/drivers/criu/pager/one-pager.ts';
import { startContainer } from '../../lab/container/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { signalProcess } from '../../lab/processes.ts';
import { labHost } from '../../lab/state.ts';
import { cgroupsOf, containerRunsOn } from '../../lab/witness/containers.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { bringContainers } from '../drivers/criu/bring.ts';
import { keepsConnection, untilNoneLeft } from './support/containers.ts';
import { begin, follow, reportAtEnd, SLOW } from './support/moves.ts';
import { killMover } from './support/movers.ts';
import { setPath } from './support/paths.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const BOX = `late-${process.pid}`;
const skip = process.getuid?.() === 0 ? false : 'CRIU and runc need root';

describe('a container whose memory follows it', { skip }, () => {
  let world: World;
  let hash: string;
  let [from, to] = ['a', 'b'];

  before(async () => {
    await bringContainers();
    world = await openWorld('late', { hosts: 2, containers: true });
    await startContainer(world.lab, {
      name: BOX,
      host: 'a',
      staticBytes: 48 * MIB,
      dirtyBytes: 8 * MIB,
      dirtyBytesPerSecond: MIB,
    });
    ({ hash } = await verifyGuest(world.lab, BOX));
  });
  after(async () => {
    await world?.close();
    assert.deepEqual(await cgroupsOf(BOX), []);
  });

  /** It is moved; what happens once it runs at its destination leaves its memory and its connection as they were. */
  async function moves(
    settings: object,
    once: (id: string) => Promise<void> = async () => {},
  ): Promise<Report> {
    let report: Report | undefined;
    await keepsConnection(world, BOX, async () => {
      const id = await begin(world, { guest: BOX, from, to, ...settings });
      await once(id);
      report = await reportAtEnd(world, from, id);
    });
    assert.equal(report?.outcome, 'done', JSON.stringify(report?.error));
    assert.deepEqual(await containerRunsOn(world.lab, BOX), [to]);
    const found = await verifyGuest(world.lab, BOX);
    assert.partialDeepStrictEqual(found, { ok: true, hash, badChunks: 0 });
    await untilNoneLeft(world, from);
    [from, to] = [to, from];
    return report;
  }

  async function untilItFollows(id: string): Promise<void> {
    await follow(world, from, id, ({ phase }) => phase === 'draining');
  }

  function written(name: string): string {
    const { stateDir } = labHost(world.lab, to);
    return readFileSync(path.join(stateDir, 'containers', BOX, 'in', 'images', name), 'utf8');
  }

  function pager(): number {
    return pagersIn(written('pagers')).at(-1)?.pid ?? 0;
  }

  function keepers(): number[] {
    return replay(written('pager.journal'), () => []).keepers.map(({ pid }) => pid);
  }

  test('a container moves and returns with its connection and its memory', async (t) => {
    for (const mode of ['postcopy', 'hybrid', 'postcopy']) {
      const report = await moves({ mode });
      t.diagnostic(
        `${mode}: stopped ${report.blackoutMs ?? 0} ms, ${report.totalMs ?? 0} ms in all`,
      );
    }
  });

  test('a container continues when its pager is killed, and killed again', async () => {
    await moves({ mode: 'postcopy', ...SLOW }, async (id) => {
      await untilItFollows(id);
      const first = pager();
      signalProcess(first, 'SIGKILL');
      await follow(world, from, id, () => pager() !== first);
      signalProcess(pager(), 'SIGKILL');
    });
  });

  for (const side of ['source', 'destination'] as const) {
    test(`a container continues when the mover of its ${side} is killed`, async () => {
      await moves({ mode: 'postcopy', ...SLOW }, async (id) => {
        await untilItFollows(id);
        await killMover(world, side === 'source' ? from : to, id);
      });
    });
  }

  test('a container continues when its pager and the mover next to it are killed', async () => {
    await moves({ mode: 'postcopy', ...SLOW }, async (id) => {
      await untilItFollows(id);
      const mine = pager();
      await killMover(world, to, id);
      signalProcess(mine, 'SIGKILL');
    });
  });

  test('a container waits while the link drops everything, and then continues', async () => {
    await moves({ mode: 'postcopy', ...SLOW }, async (id) => {
      await untilItFollows(id);
      await setPath(world, 'b', 0, 'black hole');
      await systemClock.sleep(3000);
      await setPath(world, 'b', 0, 'open');
    });
  });

  test('a container is ended and reported lost if its pager and both keepers are killed', async () => {
    const id = await begin(world, { guest: BOX, from, to, mode: 'postcopy', ...SLOW });
    await untilItFollows(id);
    const mine = pager();
    // The pager first, so that it begins no other keeper.
    signalProcess(mine, 'SIGSTOP');
    for (const pid of keepers()) signalProcess(pid, 'SIGKILL');
    signalProcess(mine, 'SIGKILL');
    const report = await reportAtEnd(world, from, id);
    assert.equal(report.outcome, 'lost', JSON.stringify(report));
    assert.deepEqual(await containerRunsOn(world.lab, BOX), []);
  });
});
