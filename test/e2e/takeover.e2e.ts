import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startAgent, stopAgent } from '../../src/lab/agents.ts';
import { startGuest } from '../../src/lab/guest/start.ts';
import { isAlive, signalProcess } from '../../src/lab/processes.ts';
import { labHost } from '../../src/lab/state.ts';
import type { Report } from '../../src/protocol/migration.ts';
import { moverState } from '../../src/protocol/mover-request.ts';
import type { MoverState } from '../../src/protocol/mover-request.ts';
import { watchGuest } from './support/client-view.ts';
import type { WatchedGuest } from './support/client-view.ts';
import { begin, reportAtEnd, untilMemoryFlows } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from './support/wait.ts';
import { openWorld } from './support/world.ts';
import type { World } from './support/world.ts';

const MIB = 1024 ** 2;

describe('a migration whose processes are killed while memory moves', () => {
  let world: World;
  let web1: WatchedGuest;

  before(async () => {
    world = await openWorld('kill', { hosts: 2 });
    await startGuest(world.lab, {
      name: 'web1',
      host: 'a',
      memoryBytes: 192 * MIB,
      workingSetBytes: 16 * MIB,
      dirtyBytesPerSecond: 2 * MIB,
    });
    web1 = await watchGuest(world, 'web1');
  });
  after(async () => {
    await world?.close();
  });

  /** Moves the guest; `harm` is done once memory flows. It must arrive all the same. */
  async function moveThrough(
    from: string,
    to: string,
    harm: (id: string) => Promise<void>,
  ): Promise<Report> {
    let report: Report | undefined;
    await web1.unharmed(to, async () => {
      const id = await begin(world, { guest: 'web1', from, to, maxBandwidth: 24 * MIB });
      await untilMemoryFlows(world, from, id);
      await harm(id);
      report = await reportAtEnd(world, from, id);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    });
    await assertOnlyGuests(world, { [to]: ['web1'] });
    assert.ok(report !== undefined);
    return report;
  }

  function moverOf(host: string, id: string): MoverState {
    const { stateDir } = labHost(world.lab, host);
    const file = path.join(stateDir, 'migrations', id, 'mover.json');
    return moverState.parse(JSON.parse(readFileSync(file, 'utf8')));
  }

  async function killMover(host: string, id: string): Promise<void> {
    const mover = moverOf(host, id);
    signalProcess(mover.pid, 'SIGKILL');
    await until('the mover to be gone', 5000, async () =>
      (await isAlive(mover)) ? undefined : true,
    );
  }

  test("goes on when the source's mover is killed: a new one takes over", async () => {
    const report = await moveThrough('a', 'b', (id) => killMover('a', id));
    assert.equal(report.takeovers, 1);
    assert.equal(report.runsAt, 'destination');
  });

  test("goes on when the destination's mover is killed: a new one takes over", async () => {
    let killed: MoverState | undefined;
    await moveThrough('b', 'a', async (id) => {
      killed = moverOf('a', id);
      await killMover('a', id);
    });
    assert.ok(killed !== undefined);
  });

  test('goes on when the agents of both hosts are killed, and is reported by new ones', async () => {
    const report = await moveThrough('a', 'b', async (id) => {
      const movers = [moverOf('a', id), moverOf('b', id)];
      await Promise.all([
        stopAgent(world.lab, 'a', 'SIGKILL'),
        stopAgent(world.lab, 'b', 'SIGKILL'),
      ]);
      assert.deepEqual(await Promise.all(movers.map(isAlive)), [true, true]);
      await Promise.all([startAgent(world.lab, 'a'), startAgent(world.lab, 'b')]);
    });
    assert.equal(report.takeovers, 0);
  });

  test('goes on when agent and mover of the source are killed together', async () => {
    const report = await moveThrough('b', 'a', async (id) => {
      await stopAgent(world.lab, 'b', 'SIGKILL');
      await killMover('b', id);
      await startAgent(world.lab, 'b');
    });
    assert.equal(report.takeovers, 1);
  });
});
