import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { agentsOf } from '../../lab/agents.ts';
import { processesInNamespaces, signalProcess } from '../../lab/processes.ts';
import { makeBrake, type Brake } from './support/brake.ts';
import { godwit } from './support/cli.ts';
import { startWatchedGuest, type WatchedGuest } from './support/client-view.ts';
import {
  assertSays,
  begin,
  follow,
  move,
  refusalOf,
  reportAtEnd,
  SLOW,
  unlessForbidden,
  untilMemoryFlows,
} from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
/** Cancel says within a second what will happen; the rest is for a busy machine. */
const ANSWER_MS = 3000;
const MOVE = { guest: 'web1', from: 'a', to: 'b' } as const;

describe('a migration that is cancelled', () => {
  let world: World;
  let brake: Brake;
  let web1: WatchedGuest;

  before(async () => {
    brake = await makeBrake();
    const configure = (host: string) =>
      host === 'b' ? { drivers: { qemu: { programs: [brake.program] } } } : {};
    world = await openWorld('cancel', { hosts: 2, configure });
    web1 = await startWatchedGuest(world);
  });
  after(async () => {
    brake?.release();
    await world?.close();
    brake?.remove();
  });

  async function cancel(id: string) {
    return world.agent('a').cancel({ params: { id } }, { deadlineMs: ANSWER_MS });
  }

  /** Cancels, which is answered at once, and sees that the guest runs on at a and nothing is left at b. */
  async function cancelled(id: string, meanwhile?: () => void): Promise<void> {
    assert.deepEqual(await cancel(id), {
      accepted: true,
      what: 'rolling back: web1 runs on at a',
    });
    meanwhile?.();
    const report = await reportAtEnd(world, 'a', id);
    assert.equal(report.outcome, 'cancelled');
    assert.equal(report.runsAt, 'source');
    assertSays(report.error!, 'GODWIT_CANCELLED', 'web1', 'keeps running at a');
    await assertOnlyGuests(world, { a: ['web1'] });
  }

  test('a migration cancelled during the checks leaves no trace, even if the destination answers late', async () => {
    const [agent] = await agentsOf(world.lab, 'b');
    assert.ok(agent !== undefined);
    await web1.unharmed('a', async () => {
      // A destination that hangs holds the migration in its first step.
      signalProcess(agent.pid, 'SIGSTOP');
      try {
        const id = await begin(world, MOVE);
        await follow(world, 'a', id, ({ phase }) => phase === 'checking');
        await cancelled(id, () => signalProcess(agent.pid, 'SIGCONT'));
      } finally {
        signalProcess(agent.pid, 'SIGCONT');
      }
    });
  });

  test('a migration cancelled during the preparation leaves no trace, not even of a starting QEMU', async () => {
    await web1.unharmed('a', async () => {
      brake.hold();
      const id = await begin(world, MOVE);
      await follow(world, 'a', id, ({ phase }) => phase === 'preparing');
      await until('the QEMU of b to be started', 15_000, startedAtB);
      await cancelled(id);
      brake.release();
    });
  });

  test('a migration cancelled during the memory transfer leaves no trace, and the guest is busy until then', async () => {
    await web1.unharmed('a', async () => {
      const id = await begin(world, { ...MOVE, ...SLOW });
      await untilMemoryFlows(world, 'a', id);
      const again = await refusalOf(world, MOVE);
      assertSays(again, 'GODWIT_GUEST_BUSY', 'web1', id, 'to b', 'memory', 'godwit cancel');
      await cancelled(id);
    });
  });

  test('a cancel from another terminal ends the command that follows the migration, with its own exit code', async () => {
    await web1.unharmed('a', async () => {
      const moving = godwit(world, 'migrate', 'web1', '--to', 'b', '--max-bandwidth', '4MiB/s');
      const id = await until('the migration to begin', 15_000, async () => {
        const { migrations } = await world.agent('a').migrations();
        return migrations.find(({ phase }) => phase === 'memory')?.id;
      });
      const { exit, out } = await godwit(world, 'cancel', id);
      assert.equal(exit, 0);
      assert.match(out, /rolling back: web1 runs on at a/);
      const ended = await moving;
      assert.equal(ended.exit, 6, ended.err);
      assert.match(ended.out + ended.err, /cancelled/);
      await assertOnlyGuests(world, { a: ['web1'] });
    });
  });

  test('a migration past its own time limit is rolled back as well, and reports what was missing', async () => {
    await web1.unharmed('a', async () => {
      const id = await begin(world, { ...MOVE, ...SLOW, timeoutMs: 10_000 });
      const report = await reportAtEnd(world, 'a', id);
      assert.equal(report.outcome, 'failed');
      assert.equal(report.runsAt, 'source');
      assertSays(report.error!, 'GODWIT_NOT_CONVERGED', 'web1', 'within 10.0 s', 'postcopy');
      await assertOnlyGuests(world, { a: ['web1'] });
    });
  });

  test('a cancelled migration does not hinder the next one, which cannot be cancelled after its end', async () => {
    await web1.unharmed('b', async () => {
      const { id } = await move(world, MOVE);
      const answer = await cancel(id);
      assert.equal(answer.accepted, false);
      assert.match(answer.what, /ended already: done/);
      await assertOnlyGuests(world, { b: ['web1'] });
    });
  });

  test('a migration past the point of no return continues, and reports that', async (t) => {
    const request = { guest: 'web1', from: 'b', to: 'a', mode: 'postcopy' } as const;
    await unlessForbidden(t, () =>
      web1.unharmed('a', async () => {
        const id = await begin(world, { ...request, maxBandwidth: 32 * MIB });
        await follow(world, 'b', id, ({ phase }) => phase === 'draining');
        const answer = await world.agent('b').cancel({ params: { id } }, { deadlineMs: ANSWER_MS });
        assert.equal(answer.accepted, false);
        assert.match(answer.what, /too late \(draining\): web1 goes on at a/);
        const report = await reportAtEnd(world, 'b', id);
        assert.equal(report.outcome, 'done', JSON.stringify(report.error));
      }),
    );
  });

  async function startedAtB(): Promise<true | undefined> {
    const { lab } = world;
    const inode = lab.namespaces[lab.members[1]?.namespace ?? ''] ?? 0;
    const processes = await processesInNamespaces(new Set([inode]));
    return processes.some(({ argv }) => argv.includes(brake.program)) ? true : undefined;
  }
});
