import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { managedHandle } from '../../sim/fake/managed-handle.ts';
import { HONEST } from '../../sim/fake/manager-options.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { leaveHeld } from './support/held-migration.ts';
import { ManagedHost } from './support/managed-host.ts';

let host: ManagedHost;
let count = 0;
/** The guest of the test that runs. */
let guest = '';

const tasksOf = (name: string): number =>
  host.manager.tasks.filter(({ order }) => order.guest === name).length;

/** What the report says is what the manager says, and there was one task at most. */
function assertTrue(found: Report): void {
  assert.ok(tasksOf(found.guest) <= 1, `${tasksOf(found.guest)} tasks`);
  host.manager.turn();
  const at = host.manager.guests.get(found.guest) === 'a' ? 'source' : 'destination';
  assert.equal(found.runsAt, at, JSON.stringify(found));
}

describe('guests of a manager', () => {
  before(async () => {
    host = await ManagedHost.open();
  });

  after(() => host.close());

  beforeEach(() => {
    Object.assign(host.temper, HONEST);
    host.options.taskMs = 500;
    host.options.taskEnds = 'done';
    count += 1;
    // Agents see every QEMU of this machine, also those of files that run beside this one.
    guest = `managed-${process.pid}-${count}`;
    host.guest(guest);
  });

  test('guests are listed, moved, watched and reported by the same commands as others', async () => {
    const listed = await host.godwit('guests');
    assert.match(listed.out, new RegExp(`${guest}\\s`));
    const moved = await host.godwit('migrate', guest, '--to', 'b');
    assert.equal(moved.exit, 0, moved.err);
    assert.match(moved.out, /moved from a to b \(by its manager, m-/);
    assert.match(moved.out, /not reported by its manager +bytes sent, rounds, throughput/);
    assert.doesNotMatch((await host.godwit('guests')).out, new RegExp(`${guest}\\s`));
    const list = await host.godwit('migrations');
    const id = /m-[0-9a-z]+/.exec(list.out)?.[0] ?? '';
    const shown = await host.godwit('report', id, '--json');
    assert.equal(shown.exit, 0, shown.err);
    assertTrue(await host.reportOf(id));
    const watched = await host.godwit('watch', id);
    assert.equal(watched.exit, 0, watched.err);
  });

  test('guests are refused Godwit-only features, and a host that the manager does not know', async () => {
    const wire = await host.godwit('migrate', guest, '--to', 'b', '--path', 'wire');
    assert.equal(wire.exit, 4, wire.err);
    assert.match(wire.err, /--path wire is not possible here/);
    const nowhere = await host.godwit('migrate', guest, '--to', 'nowhere');
    assert.equal(nowhere.exit, 3, nowhere.err + nowhere.out);
    assert.match(nowhere.err + nowhere.out, /nowhere/);
    assert.equal(tasksOf(guest), 0);
  });

  test('guests stay at their host when a task fails, and the exit code shows it', async () => {
    host.options.taskEnds = 'failed';
    const moved = await host.godwit('migrate', guest, '--to', 'b', '--json');
    assert.equal(moved.exit, 5, moved.err);
    const found = JSON.parse(moved.out) as Report;
    assert.equal(found.error?.code, 'GODWIT_TASK_FAILED');
    assertTrue(found);
  });

  test('guests are moved once, whenever their mover is killed, and another mover continues', async () => {
    host.options.taskMs = 3000;
    const id = await host.begin(guest);
    await host.inPhase(id, 'memory');
    assert.equal(host.killMover(id), true);
    const found = await host.ended(id);
    assert.equal(found.outcome, 'done', JSON.stringify(found));
    assert.ok(found.takeovers >= 1);
    assertTrue(found);
  });

  test('guests are moved once while their agent and their mover die', async () => {
    host.options.taskMs = 4000;
    const id = await host.begin(guest);
    await host.inPhase(id, 'memory');
    await host.agentDown();
    host.killMover(id);
    await host.agentUp();
    const found = await host.ended(id);
    assert.equal(found.outcome, 'done', JSON.stringify(found));
    assert.ok(found.takeovers >= 1);
    assertTrue(found);
    // An agent that is started again reads the end from the journal.
    await host.agentDown('SIGTERM');
    await host.agentUp();
    assert.deepEqual(await host.reportOf(id), found);
  });

  test('guests wait for their time although agent and mover die, and their manager is not asked before', async () => {
    const id = await host.begin(guest, '--not-before', '12s');
    assert.equal((await host.progress(id)).phase, 'planned');
    await host.agentDown();
    host.killMover(id);
    await host.agentUp();
    assert.equal(tasksOf(guest), 0);
    const found = await host.ended(id);
    assert.equal(found.outcome, 'done', JSON.stringify(found));
    assert.ok(found.takeovers >= 1);
    const began = Date.parse(found.settings.notBefore ?? '') - Date.parse(found.startedAt);
    assert.ok((found.phases.find(({ phase }) => phase === 'planned')?.ms ?? 0) >= began);
    assertTrue(found);
  });

  test('guests are cancelled while they wait', async () => {
    const id = await host.begin(guest, '--not-before', '1h');
    assert.equal((await host.godwit('cancel', id)).exit, 0);
    const found = await host.ended(id);
    assert.deepEqual([found.outcome, tasksOf(guest)], ['cancelled', 0]);
    assertTrue(found);
  });

  test('guests are cancelled with their manager, and a second cancel reports the first one', async () => {
    host.options.taskMs = 20_000;
    const id = await host.begin(guest);
    await host.inPhase(id, 'memory');
    const [one, other] = [await host.godwit('cancel', id), await host.godwit('cancel', id)];
    assert.equal(one.exit, 0, one.err);
    assert.match(one.out, /its manager is asked to end the task/);
    assert.notEqual(other.exit, 0, other.out);
    const found = await host.ended(id);
    assert.equal(found.outcome, 'cancelled');
    assertTrue(found);
    assert.equal((await host.godwit('watch', id)).exit, 6);
  });

  test('guests are moved once by a manager that forgets its task', async () => {
    host.options.taskMs = 1500;
    const id = await host.begin(guest);
    await host.inPhase(id, 'memory');
    await host.until(async () => {
      host.manager.turn();
      return host.manager.guests.get(guest) === 'b';
    });
    host.manager.crash();
    const found = await host.ended(id);
    assert.equal(found.outcome, 'done', JSON.stringify(found));
    assertTrue(found);
  });

  test('guests are moved once by a manager that does not answer, answers late and answers twice', async () => {
    Object.assign(host.temper, { lost: 0.1, unanswered: 0.2, late: 0.1, twice: 0.3, stale: 0.1 });
    for (let round = 0; round < 4; round += 1) {
      const begun = await host.godwit('migrate', guest, '--to', 'b', '--detach', '--json');
      // The agent asks the manager for the guest before anything begins.
      if (begun.exit !== 0) continue;
      const found = await host.ended((JSON.parse(begun.out) as { id: string }).id);
      assert.ok(['done', 'failed'].includes(found.outcome), JSON.stringify(found));
      assertTrue(found);
      if (found.outcome === 'done') return;
      host.manager.tasks.length = 0;
    }
  });

  test('guests are still listed, and moved once their manager is back', async () => {
    host.options.taskMs = 2000;
    const id = await host.begin(guest);
    await host.inPhase(id, 'memory');
    await host.managerDown();
    assert.equal((await host.progress(id)).phase, 'memory');
    await host.managerUp();
    const found = await host.ended(id);
    assert.equal(found.outcome, 'done', JSON.stringify(found));
    assertTrue(found);
  });

  test('guests that were not found are resolved by asking their manager again', async () => {
    const id = 'm-held00001';
    await host.agentDown();
    leaveHeld(host.migrationDir(id), {
      id,
      guest,
      from: 'a',
      to: 'b',
      handle: managedHandle(guest),
    });
    await host.agentUp();
    assert.equal((await host.progress(id)).phase, 'held');
    const busy = await host.godwit('resolve', id);
    assert.equal(busy.exit, 0, busy.err);
    assert.match(busy.out, /its manager: at a; nothing moves it/);
    assert.match(busy.out, /The safe answer: godwit resolve m-held00001 --run-at source/);
    const wrong = ['resolve', id, '--run-at', 'destination', '--confirm', guest] as const;
    assert.equal((await host.godwit(...wrong, '--yes-i-know')).exit, 4);
    const right = ['resolve', id, '--run-at', 'source', '--confirm', guest] as const;
    const resolved = await host.godwit(...right);
    assert.equal(resolved.exit, 0, resolved.err + resolved.out);
    const found = await host.reportOf(id);
    assert.deepEqual([found.outcome, found.runsAt], ['failed', 'source']);
    assert.equal(tasksOf(guest), 0);
  });

  test("guests of a silent manager are resolved only by a person's decision", async () => {
    const id = 'm-held00002';
    await host.agentDown();
    leaveHeld(host.migrationDir(id), {
      id,
      guest,
      from: 'a',
      to: 'b',
      handle: managedHandle(guest),
    });
    await host.agentUp();
    await host.managerDown();
    const words = ['resolve', id, '--run-at', 'source', '--confirm', guest] as const;
    const unproved = await host.godwit(...words);
    assert.equal(unproved.exit, 7, unproved.err);
    assert.match(unproved.err, /nothing proves/);
    const resolved = await host.godwit(...words, '--yes-i-know');
    await host.managerUp();
    assert.equal(resolved.exit, 0, resolved.err + resolved.out);
    assert.equal((await host.reportOf(id)).runsAt, 'source');
  });
});
