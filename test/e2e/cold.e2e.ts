import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { JournalTail } from '../../faults/journal-tail.ts';
import { isAlive } from '../../src/system/processes/process.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { readGuestStats, verifyGuest } from '../../lab/guest/talk.ts';
import { runningOn, seenQemus } from '../../lab/witness/qemus.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { until } from '../until.ts';
import { begin, follow, reportAtEnd } from './support/moves.ts';
import { killMover } from './support/movers.ts';
import { assertUnchanged, hostsNow } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const GUEST = `cold${process.pid}`;
/** An emulated guest boots within that time on a busy machine, ms. */
const BOOTS_MS = 90_000;

for (const storage of ['shared', 'local'] as const) {
  describe(`a cold move, its disk ${storage === 'shared' ? 'shared' : 'copied'}`, () => {
    let world: World;

    before(async () => {
      world = await openWorld(storage === 'shared' ? 'cold' : 'coldc', { hosts: 2, storage });
      await startGuest(world.lab, {
        name: GUEST,
        host: 'a',
        memoryBytes: 192 * MIB,
        workingSetBytes: 16 * MIB,
        disks: [{ bytes: 64 * MIB, thin: false }],
      });
    });
    after(() => world?.close());

    async function bootId(): Promise<string> {
      const stats = await until('the guest to be up', BOOTS_MS, async () => {
        const said = await readGuestStats(world.lab, GUEST).catch(() => undefined);
        return said?.ready === true ? said : undefined;
      });
      return stats.bootId;
    }

    async function assertRuns(host: string): Promise<void> {
      await bootId();
      assert.deepEqual(await runningOn(world.lab, GUEST), [host]);
      assert.equal((await verifyGuest(world.lab, GUEST)).ok, true);
    }

    function cold(from: string, to: string): Promise<string> {
      return begin(world, { guest: GUEST, from, to, mode: 'cold' });
    }

    function assertMoved(report: Report): void {
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
      assert.equal(report.leftovers, undefined);
      const phases = report.phases.map(({ phase }) => phase);
      assert.ok(phases.includes('switchover') && !phases.includes('memory'), String(phases));
    }

    test('a guest moves and returns: it shuts itself down and is started again', async () => {
      const first = await bootId();
      assertMoved(await reportAtEnd(world, 'a', await cold('a', 'b')));
      await assertRuns('b');
      const second = await bootId();
      assert.notEqual(second, first);
      assertMoved(await reportAtEnd(world, 'b', await cold('b', 'a')));
      await assertRuns('a');
      assert.notEqual(await bootId(), second);
    });

    test('a guest that is cancelled while it shuts down is started again at its source', async () => {
      const before = await bootId();
      const hosts = await hostsNow(world.lab);
      const id = await cold('a', 'b');
      await follow(world, 'a', id, ({ phase }) => phase === 'switchover');
      const { accepted } = await world.agent('a').cancel({ params: { id } });
      assert.equal(accepted, true);
      const report = await reportAtEnd(world, 'a', id);
      assert.equal(report.outcome, 'cancelled');
      assert.equal(report.leftovers, undefined);
      await assertRuns('a');
      assert.notEqual(await bootId(), before);
      await assertUnchanged(world, hosts);
    });

    test('a move whose mover is killed after the button was pressed continues under another one', async () => {
      const id = await cold('a', 'b');
      await follow(world, 'a', id, ({ phase }) => phase === 'switchover');
      await killMover(world, 'a', id);
      const report = await reportAtEnd(world, 'a', id);
      assertMoved(report);
      assert.equal(report.takeovers, 1);
      await assertRuns('b');
    });

    test("a guest is started once, by the next mover, if the destination's mover dies between the two QEMUs", async () => {
      const [from = ''] = await runningOn(world.lab, GUEST);
      const to = from === 'a' ? 'b' : 'a';
      const id = await cold(from, to);
      await follow(world, from, id, ({ phase }) => phase === 'switchover');
      const waits = (await seenQemus(world.lab)).find((each) => each.host === to);
      assert.ok(waits !== undefined, 'no QEMU waits at the destination');
      const journal = new JournalTail(world.lab, to, id, 'destination');
      // The first one waited for memory, and has ended once the guest is committed; no other one was started yet.
      await until('the first QEMU to end', BOOTS_MS, async () =>
        journal.has('committed') && !isAlive(waits) ? true : undefined,
      );
      await killMover(world, to, id);
      const started = () => journal.lines().filter(({ event }) => event.type === 'prepared').length;
      assert.equal(started(), 1);
      const report = await reportAtEnd(world, from, id);
      assertMoved(report);
      assert.equal(started(), 2);
      await assertRuns(to);
    });
  });
}
