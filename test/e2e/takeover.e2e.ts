import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { isAlive } from '../../src/system/processes/process.ts';
import { signalProcess } from '../../lab/processes.ts';
import { seenQemus } from '../../lab/witness/qemus.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import type { MoverState } from '../../src/protocol/mover/request.ts';
import { startBareGuest } from './support/bare-guest.ts';
import { startWatchedGuest, type WatchedGuest } from './support/client-view.ts';
import { begin, reportAtEnd, SLOW, untilMemoryFlows } from './support/moves.ts';
import { killMover, moverOf } from './support/movers.ts';
import { assertOnlyGuests, assertUnchanged } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, restingHosts, type World } from './support/world.ts';

const MIB = 1024 ** 2;

describe('a migration whose processes are killed while memory moves', () => {
  let world: World;
  let web1: WatchedGuest;

  before(async () => {
    world = await openWorld('kill', { hosts: 2 });
    web1 = await startWatchedGuest(world);
  });
  after(() => world?.close());

  /** Moves the guest; `harm` is done once memory flows. It must arrive all the same. */
  async function moveThrough(
    from: string,
    to: string,
    harm: (id: string) => Promise<void>,
  ): Promise<Report> {
    let report: Report | undefined;
    await web1.unharmed(to, async () => {
      const id = await begin(world, { guest: 'web1', from, to, maxBandwidth: 32 * MIB });
      await untilMemoryFlows(world, from, id);
      await harm(id);
      report = await reportAtEnd(world, from, id);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    });
    await assertOnlyGuests(world, { [to]: ['web1'] });
    assert.ok(report !== undefined);
    return report;
  }

  test("a migration continues when the source's mover is killed: a new one takes over", async () => {
    const report = await moveThrough('a', 'b', (id) => killMover(world, 'a', id));
    assert.equal(report.takeovers, 1);
    assert.equal(report.runsAt, 'destination');
  });

  test("a migration continues when the destination's mover is killed: a new one takes over", async () => {
    let killed: MoverState | undefined;
    let next: MoverState | undefined;
    await moveThrough('b', 'a', async (id) => {
      killed = moverOf(world, 'a', id);
      await killMover(world, 'a', id);
      next = await until('another mover at the destination', 20_000, async () => {
        const now = moverOf(world, 'a', id);
        return isAlive(now) ? now : undefined;
      });
    });
    assert.ok(killed !== undefined && next !== undefined);
    assert.notDeepEqual([next.pid, next.startTicks], [killed.pid, killed.startTicks]);
  });

  test('a migration continues when the agents of both hosts are killed, and new ones report it', async () => {
    const report = await moveThrough('a', 'b', async (id) => {
      const movers = [moverOf(world, 'a', id), moverOf(world, 'b', id)];
      await Promise.all([
        stopAgent(world.lab, 'a', 'SIGKILL'),
        stopAgent(world.lab, 'b', 'SIGKILL'),
      ]);
      assert.deepEqual(movers.map(isAlive), [true, true]);
      await Promise.all([startAgent(world.lab, 'a'), startAgent(world.lab, 'b')]);
    });
    assert.equal(report.takeovers, 0);
  });

  test('a migration continues when agent and mover of the source are killed together', async () => {
    const report = await moveThrough('b', 'a', async (id) => {
      await stopAgent(world.lab, 'b', 'SIGKILL');
      await killMover(world, 'b', id);
      await startAgent(world.lab, 'b');
    });
    assert.equal(report.takeovers, 1);
  });

  test("a migration is rolled back when the destination's QEMU is killed", async () => {
    await web1.unharmed('a', async () => {
      const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', ...SLOW });
      await untilMemoryFlows(world, 'a', id);
      await killQemu('b', 'web1');
      const report = await reportAtEnd(world, 'a', id);
      assert.equal(report.outcome, 'failed');
      assert.equal(report.runsAt, 'source');
      const { code = '', message = '' } = report.error ?? {};
      assert.match(code, /^GODWIT_(HYPERVISOR_LOST|STREAM_FAILED|DESTINATION_FAILED)$/);
      assert.match(message, /web1|\bb\b/);
    });
    await assertOnlyGuests(world, { a: ['web1'] });
  });

  test("a migration ends when the guest's QEMU is killed, and leaves no half of it at the destination", async () => {
    const hosts = await restingHosts(world.lab);
    const doomed = await startBareGuest(world, { name: 'doomed', host: 'a' });
    const request = { guest: 'doomed', from: 'a', to: 'b', maxBandwidth: 32 * 1024 };
    const id = await begin(world, request);
    await untilMemoryFlows(world, 'a', id);
    await killQemu('a', 'doomed');
    const report = await reportAtEnd(world, 'a', id);
    assert.match(report.outcome, /^(failed|lost)$/);
    assert.notEqual(report.runsAt, 'destination');
    assert.match(report.error?.message ?? '', /doomed/);
    await doomed.stop();
    await assertUnchanged(world, hosts);
  });

  async function killQemu(host: string, guest: string): Promise<void> {
    const all = await seenQemus(world.lab);
    const qemu = all.find((each) => each.host === host && each.guest === guest);
    assert.ok(qemu !== undefined);
    signalProcess(qemu.pid, 'SIGKILL');
  }
});
