import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { storageDirectory } from '../../lab/state.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { startWatchedGuest, type WatchedGuest } from './support/client-view.ts';
import { godwit } from './support/cli.ts';
import { begin, move, refusalOf, reportAtEnd, untilMemoryFlows } from './support/moves.ts';
import { killMover } from './support/movers.ts';
import { assertUnchanged, hostsNow } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const MOVE = { guest: 'web1', from: 'a', to: 'b' } as const;

describe('a rehearsal', () => {
  let world: World;
  let web1: WatchedGuest;

  before(async () => {
    world = await openWorld('rehear', { hosts: 2, storage: 'local' });
    web1 = await startWatchedGuest(world, { disks: [{ bytes: 64 * MIB, thin: true }] });
  });
  after(() => world?.close());

  /** The guest, its memory and disk are what they were, and both hosts have just what they had before. */
  async function leavesAllAsItWas(work: () => Promise<Report>): Promise<Report> {
    const hosts = await hostsNow(world.lab);
    const imagesAtB = await readdir(storageDirectory(world.lab, 'b'), { recursive: true });
    let report: Report | undefined;
    await web1.unharmed('a', async () => {
      report = await work();
    });
    await assertUnchanged(world, hosts);
    assert.deepEqual(
      await readdir(storageDirectory(world.lab, 'b'), { recursive: true }),
      imagesAtB,
    );
    assert.ok(report !== undefined);
    assert.equal(report.runsAt, 'source');
    return report;
  }

  /** It says what the move would have cost, and made none of it. */
  function assertRehearsed({ rehearsal, ...report }: Report): void {
    assert.equal(report.outcome, 'rehearsed', JSON.stringify(report.error));
    assert.equal(report.error, undefined);
    assert.equal(report.leftovers, undefined);
    assert.equal(report.finished, 'none');
    assert.ok((report.bytes ?? 0) > MIB && (report.rounds ?? 0) > 0);
    assert.ok(rehearsal?.switches !== undefined && rehearsal.expectedDowntimeMs !== undefined);
    const disk = report.disks?.find(({ copiedBytes }) => copiedBytes > 0);
    assert.ok(disk !== undefined, 'its disk was not copied');
    assert.ok(report.phases.some(({ phase }) => phase === 'disks'));
    assert.ok(!report.phases.some(({ phase }) => phase === 'switchover' || phase === 'handover'));
  }

  test('the command sends memory and disks, and reports the predicted cost of the move', async () => {
    const report = await leavesAllAsItWas(async () => {
      const { exit, out } = await godwit(world, 'migrate', 'web1', '--to', 'b', '--rehearse');
      assert.equal(exit, 0);
      assert.match(out, /web1 would move from a to b; it stayed on a, and nothing is left on b/);
      assert.match(out, /came to the switch +yes: memory converges/);
      const { migrations } = await world.agent('a').migrations();
      return world.agent('a').report({ params: { id: migrations[0]!.id } });
    });
    assertRehearsed(report);
    assert.equal(report.rehearsal?.switches, 'precopy');
    const there = await world.agent('b').report({ params: { id: report.id } });
    assert.equal(there.outcome, 'rehearsed');
  });

  test('a rehearsal uses the wire as well', async () => {
    const report = await leavesAllAsItWas(async () => {
      const id = await begin(world, { ...MOVE, path: 'wire', rehearse: true });
      return reportAtEnd(world, 'a', id);
    });
    assertRehearsed(report);
    assert.ok(report.wire !== undefined);
  });

  test('a rehearsal whose mover is killed continues under another one, and leaves nothing either', async () => {
    const report = await leavesAllAsItWas(async () => {
      // Whether the guest converges by then depends on the machine; either end leaves all as it was.
      const slow = { maxBandwidth: 8 * MIB, timeoutMs: 25_000 };
      const id = await begin(world, { ...MOVE, ...slow, rehearse: true });
      await untilMemoryFlows(world, 'a', id);
      await killMover(world, 'a', id);
      return reportAtEnd(world, 'a', id);
    });
    assert.ok(['rehearsed', 'failed'].includes(report.outcome), report.outcome);
    assert.equal(report.takeovers, 1);
  });

  test('a rehearsal of a guest that does not converge ends as the move would', async () => {
    const report = await leavesAllAsItWas(async () => {
      const slow = { maxBandwidth: MIB, maxDowntimeMs: 1, timeoutMs: 20_000 };
      const id = await begin(world, { ...MOVE, ...slow, rehearse: true });
      return reportAtEnd(world, 'a', id);
    });
    assert.equal(report.outcome, 'failed');
    assert.equal(report.rehearsal?.switches, undefined);
  });

  test('a rehearsal is refused for the same reasons as the move', async () => {
    const error = await refusalOf(world, { ...MOVE, networks: { br9: 'br9' }, rehearse: true });
    assert.deepEqual(
      error.code,
      (await refusalOf(world, { ...MOVE, networks: { br9: 'br9' } })).code,
    );
  });

  test('a rehearsal is followed by the move itself', async () => {
    const report = await move(world, MOVE);
    assert.equal(report.rehearsal, undefined);
    await web1.unharmed('b', async () => undefined);
  });
});
