import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { stopGuest } from '../../lab/guest/stop.ts';
import { readGuestStats, verifyGuest } from '../../lab/guest/talk.ts';
import { isAlive } from '../../src/system/processes/process.ts';
import { signalProcess } from '../../lab/processes.ts';
import { runningOn, seenQemus } from '../../lab/witness/qemus.ts';
import type { MoverState } from '../../src/protocol/mover/request.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import type { Resolution } from '../../src/protocol/public/resolve.ts';
import { godwit } from './support/cli.ts';
import { makeHook, type Hook } from './support/fence-hook.ts';
import { moverOf } from './support/movers.ts';
import { begin, follow, move, reportAtEnd, SLOW, untilMemoryFlows } from './support/moves.ts';
import { setPath } from './support/paths.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;

describe('a migration whose destination falls silent inside the handover', () => {
  let world: World;
  let hook: Hook;
  let hash: string;

  before(async () => {
    hook = makeHook();
    world = await openWorld('rslv', {
      // The third is the one that is heard while another is dark.
      hosts: 3,
      storage: 'shared',
      configure: () => ({
        fencing: { command: [hook.command], timeoutMs: 30_000, silenceMs: 5000 },
      }),
    });
    const { lab } = world;
    await startGuest(lab, {
      name: 'web1',
      host: 'a',
      memoryBytes: 192 * MIB,
      workingSetBytes: 16 * MIB,
    });
    ({ hash } = await verifyGuest(lab, 'web1'));
  });
  after(async () => {
    await world?.close();
    hook?.remove();
  });

  /** The host still takes the guest's memory, and says no word any more: its agent is dead, its mover is stalled. */
  async function silence(host: string, id: string): Promise<MoverState> {
    const mover = moverOf(world, host, id);
    await stopAgent(world.lab, host, 'SIGKILL');
    signalProcess(mover.pid, 'SIGSTOP');
    return mover;
  }

  /** Nothing of the host gets out any more, not even its kernel’s word. */
  const goesDark = (host: string): Promise<void> => setPath(world, host, 0, 'black hole');

  async function comesBack(host: string, mover: MoverState): Promise<void> {
    await setPath(world, host, 0, 'open');
    signalProcess(mover.pid, 'SIGKILL');
    await until('the mover to be gone', 5000, async () => (isAlive(mover) ? undefined : true));
    await startAgent(world.lab, host);
  }

  async function beginSlowly(guest = 'web1'): Promise<string> {
    const id = await begin(world, {
      guest,
      from: 'a',
      to: 'b',
      maxBandwidth: 16 * MIB,
      maxDowntimeMs: 10,
    });
    await untilMemoryFlows(world, 'a', id);
    return id;
  }

  async function beginSilenced(guest = 'web1'): Promise<{ id: string; mover: MoverState }> {
    const id = await beginSlowly(guest);
    return { id, mover: await silence('b', id) };
  }

  /** The destination goes dark with all of the guest’s memory, before it has said a word to commit. */
  async function beginDark(guest = 'web1'): Promise<{ id: string; mover: MoverState }> {
    const begun = await beginSilenced(guest);
    await follow(world, 'a', begun.id, ({ phase }) => phase === 'handover');
    await goesDark('b');
    return begun;
  }

  async function assertRuns(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, 'web1'), [host]);
    const found = await verifyGuest(world.lab, 'web1');
    assert.partialDeepStrictEqual(found, { ok: true, hash, badChunks: 0 });
    await assertOnlyGuests(world, { [host]: ['web1'] });
  }

  async function resolve(...args: string[]): Promise<{ exit: number; out: string; err: string }> {
    return godwit(world, 'resolve', ...args);
  }

  /** A person who has made sure of all that was shown. */
  async function insist(host: string, id: string) {
    const api = world.agent(host);
    const { inDoubt } = await api.resolution({ params: { id } }, { deadlineMs: 30_000 });
    const order = { runAt: 'destination', confirm: 'web1', iKnow: true } as const;
    const body = { ...order, answersFor: inDoubt };
    return api.resolve({ params: { id }, body }, { deadlineMs: 120_000 });
  }

  test('a migration is held, and only proof or a person moves it; it returns to the source once that answers', async () => {
    const { id, mover } = await beginDark();
    const held = await reportAtEnd(world, 'a', id);
    assert.equal(held.outcome, 'held');
    assert.match(held.error?.message ?? '', /no answer from its power supply/);
    assert.deepEqual(hook.calls(), ['b destination web1']);
    assert.deepEqual(await runningOn(world.lab, 'web1'), []);

    const shown = await resolve(id, '--json');
    assert.equal(shown.exit, 0, shown.err);
    const known = JSON.parse(shown.out) as Resolution;
    assert.equal(known.here.right, 'committing');
    assert.equal(known.here.hypervisor, 'handed-over');
    assert.equal(known.there, undefined);
    assert.equal(known.safe, undefined);
    const verdicts = known.answers.map(({ verdict }) => verdict);
    assert.deepEqual(verdicts, ['risky', 'waits']);
    const reported = await resolve(id);
    assert.match(reported.out, /two copies run/);
    assert.match(reported.out, /No answer is safe/);

    const untyped = await resolve(id, '--run-at', 'source');
    assert.equal(untyped.exit, 2, untyped.out);
    const wrongName = await resolve(id, '--run-at', 'source', '--confirm', 'web2');
    assert.equal(wrongName.exit, 2, wrongName.out);
    const unproved = await resolve(id, '--run-at', 'source', '--confirm', 'web1');
    assert.equal(unproved.exit, 7, unproved.err);
    assert.match(unproved.err, /no answer from its power supply/);
    assert.equal(hook.calls().length, 2);
    assert.deepEqual(await runningOn(world.lab, 'web1'), []);

    await comesBack('b', mover);
    const back = await resolve(id, '--run-at', 'source', '--confirm', 'web1', '--json');
    assert.equal(back.exit, 0, back.err);
    const { proof, report } = JSON.parse(back.out) as { proof: string; report: Report };
    assert.equal(proof, 'ask');
    assert.equal(report.outcome, 'failed');
    assert.equal(report.runsAt, 'source');
    assert.equal(hook.calls().length, 2, 'a host that answers is not turned off');
    await assertRuns('a');
  });

  test('a host with only its agent and mover silent is not fenced; its guest continues after a resolve there', async () => {
    const before = hook.calls();
    const { id, mover } = await beginSilenced();
    const held = await reportAtEnd(world, 'a', id);
    assert.equal(held.outcome, 'held');
    assert.match(
      held.error?.message ?? '',
      /not called for b: it answers at .*refuses connections/,
    );
    const unproved = await resolve(id, '--run-at', 'source', '--confirm', 'web1');
    assert.equal(unproved.exit, 7, unproved.err);
    assert.match(unproved.err, /not called for b: it answers at/);
    assert.deepEqual(hook.calls(), before);
    await comesBack('b', mover);
    const there = await resolve(
      id,
      '--host',
      'b',
      '--run-at',
      'destination',
      '--confirm',
      'web1',
      '--json',
    );
    assert.equal(there.exit, 0, there.err);
    const report = await reportAtEnd(world, 'a', id);
    assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    await assertRuns('b');
    const refused = await resolve(id, '--run-at', 'source', '--confirm', 'web1');
    assert.equal(refused.exit, 4, refused.err);
    await move(world, { guest: 'web1', from: 'b', to: 'a' });
  });

  test('a guest continues at the source by itself once the hook proves that the destination is off', async () => {
    const { id, mover } = await beginDark();
    const there = (await seenQemus(world.lab)).filter(({ host }) => host === 'b');
    hook.says('kill', [mover.pid, ...there.map(({ pid }) => pid)]);
    const report = await reportAtEnd(world, 'a', id);
    hook.says('no');
    assert.equal(report.outcome, 'failed');
    assert.equal(report.error?.code, 'GODWIT_TAKEN_BACK');
    assert.equal(report.runsAt, 'source');
    assert.ok(report.decisions.some(({ what }) => what.includes('power is off')));
    assert.deepEqual(await runningOn(world.lab, 'web1'), ['a']);
    await setPath(world, 'b', 0, 'open');
    // What comes back hears that the epoch is over, and takes down what it has.
    await startAgent(world.lab, 'b');
    await assertRuns('a');
  });

  test('a guest starts from its disks if the destination may have run it on them', async () => {
    const { lab } = world;
    const disks = [{ bytes: 32 * MIB, thin: false }];
    await startGuest(lab, { name: 'db1', host: 'a', memoryBytes: 128 * MIB, disks });
    const booted = await readGuestStats(lab, 'db1');
    const { id, mover } = await beginDark('db1');
    const there = (await seenQemus(lab)).filter(({ host }) => host === 'b');
    hook.says('kill', [mover.pid, ...there.map(({ pid }) => pid)]);
    const report = await reportAtEnd(world, 'a', id);
    hook.says('no');
    assert.equal(report.error?.code, 'GODWIT_TAKEN_BACK');
    assert.equal(report.runsAt, 'source');
    assert.ok(report.restartedAt !== undefined);
    assert.ok(report.decisions.some(({ what }) => what.includes('starts from its disks')));
    const anew = await until('the guest to be up again', 60_000, async () => {
      const stats = await readGuestStats(lab, 'db1').catch(() => undefined);
      return stats?.bootId === booted.bootId ? undefined : stats;
    });
    assert.equal(anew.bootId === booted.bootId, false);
    assert.deepEqual(await runningOn(lab, 'db1'), ['a']);
    await setPath(world, 'b', 0, 'open');
    await startAgent(lab, 'b');
    await assertOnlyGuests(world, { a: ['web1', 'db1'] });
    await stopGuest(lab, 'db1');
  });

  // Each switch waits for the source since its guest is compared once more, so a source that falls silent while memory
  // flows leaves no whole guest at the destination. What it takes is one that dies between its last state and its commit.
  const skip = 'needs a source that dies between the last state and its commit';
  test(
    "a complete destination runs the guest only by a person's decision, and the source does not resume",
    { skip },
    async () => {
      const id = await beginSlowly();
      const mover = await silence('a', id);
      const there = ['resolve', id, '--host', 'b'];
      const known = await until('the destination to hold all of it', 60_000, async () => {
        const shown = await godwit(world, ...there, '--json');
        const seen = JSON.parse(shown.out) as Resolution;
        return seen.here.complete ? seen : undefined;
      });
      assert.equal(known.there, undefined);
      assert.deepEqual(
        known.answers.map(({ verdict }) => verdict),
        ['risky', 'risky'],
      );
      const order = [...there, '--run-at', 'destination', '--confirm', 'web1'];
      const before = hook.calls();
      const alive = await godwit(world, ...order);
      assert.equal(alive.exit, 7, alive.err);
      assert.match(alive.err, /not called for a: it answers at/);
      assert.deepEqual(hook.calls(), before);
      await goesDark('a');
      const unproved = await godwit(world, ...order);
      assert.equal(unproved.exit, 7, unproved.err);
      assert.deepEqual(hook.calls().at(-1), 'a source web1');
      const word = await insist('b', id);
      assert.equal(word.proof, 'operator');
      assert.deepEqual(await runningOn(world.lab, 'web1'), ['b']);

      await comesBack('a', mover);
      const report = await reportAtEnd(world, 'a', id);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
      await assertRuns('b');
      await move(world, { guest: 'web1', from: 'b', to: 'a' });
    },
  );

  test('a migration that is active, or finished, is not resolved', async () => {
    const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', ...SLOW });
    await untilMemoryFlows(world, 'a', id);
    const early = await resolve(id, '--run-at', 'source', '--confirm', 'web1');
    assert.equal(early.exit, 4, early.out);
    assert.match(early.err, /goes on by itself/);
    await world.agent('a').cancel({ params: { id } });
    await reportAtEnd(world, 'a', id);
    const late = await resolve(id, '--run-at', 'source', '--confirm', 'web1');
    assert.equal(late.exit, 4, late.out);
    await assertRuns('a');
  });

  test('the source is a wrong answer once the destination has run the guest, even if it ended there', async () => {
    const { id, mover } = await beginSilenced();
    assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'held');
    await stopAgent(world.lab, 'a', 'SIGKILL');
    await comesBack('b', mover);
    await insist('b', id);
    assert.deepEqual(await runningOn(world.lab, 'web1'), ['b']);
    const [there] = (await seenQemus(world.lab)).filter(({ host }) => host === 'b');
    signalProcess(there?.pid ?? 0, 'SIGKILL');
    await until('the guest to be gone at b', 10_000, async () =>
      (await seenQemus(world.lab)).some(({ host }) => host === 'b') ? undefined : true,
    );
    await startAgent(world.lab, 'a');

    const known = JSON.parse((await resolve(id, '--json')).out) as Resolution;
    assert.equal(known.there?.hasRun, true);
    const verdicts = known.answers.map(({ verdict }) => verdict);
    assert.deepEqual(verdicts, ['wrong', 'safe']);
    const insisted = { runAt: 'source', confirm: 'web1', iKnow: true } as const;
    await assert.rejects(
      world.agent('a').resolve({ params: { id }, body: insisted }, { deadlineMs: 120_000 }),
      { code: 'GODWIT_RESOLVE_REFUSED' },
    );
    assert.deepEqual(await runningOn(world.lab, 'web1'), []);
    const ended = await resolve(id, '--run-at', 'destination', '--confirm', 'web1');
    assert.equal(ended.exit, 7, ended.err);
    assert.deepEqual(await runningOn(world.lab, 'web1'), []);
  });
});
