import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { destinationReportOf } from '../../../../src/migration/report/destination.ts';
import { godwitError } from '../../../../src/errors.ts';
import { replayDestination } from '../../../../src/migration/direct/journal.ts';
import { readJournals } from '../../../../src/host/journal/journal.ts';
import { EPOCH, LEASE_MS, arrive, armed, never, open } from './scene.ts';

describe("the destination's mover", () => {
  test("the destination's mover records each action before it takes it", async (t) => {
    const scene = await open(t);
    const seen = new Map<string, string[]>();
    scene.hosts.onCall = (name) => seen.set(name, scene.journaled());
    await scene.mover.assess(scene.preparation, never);
    await scene.mover.prepare(scene.preparation, never);
    await scene.mover.arm(EPOCH);
    arrive(scene);
    await scene.mover.commit(EPOCH, never);
    await scene.mover.finish(EPOCH, never);
    await scene.mover.ended;
    assert.equal(seen.get('destination.start')?.at(-1), 'preparing');
    assert.equal(seen.get('destination.resumeGuest')?.at(-1), 'committed');
    assert.deepEqual(
      scene.journaled().filter((type) => type !== 'hypervisor'),
      ['admitted', 'preparing', 'prepared', 'armed', 'committed', 'running', 'finished'],
    );
  });

  test("the destination's mover acts once on a repeated call, and answers twice", async (t) => {
    const scene = await open(t);
    const { mover, hosts, preparation } = scene;
    const twice = async <T>(ask: () => Promise<T>): Promise<void> => {
      const answers = await Promise.all([ask(), ask()]);
      assert.deepEqual(answers[0], answers[1]);
    };
    await twice(() => mover.prepare(preparation, never));
    await twice(() => mover.arm(EPOCH));
    arrive(scene);
    await twice(async () => (await mover.commit(EPOCH, never)).epoch);
    await twice(() => mover.finish(EPOCH, never));
    const count = (name: string): number => hosts.calls.filter((call) => call === name).length;
    assert.equal(count('destination.start'), 1);
    assert.equal(count('destination.settle'), 1);
    assert.equal(scene.journaled().filter((type) => type === 'armed').length, 1);
  });

  test('a released destination leaves nothing behind and refuses first', async (t) => {
    const { mover, hosts, journaled } = await armed(t);
    await mover.release(EPOCH, never);
    await mover.release(EPOCH, never);
    await mover.ended;
    assert.equal(hosts.destination, undefined);
    assert.deepEqual(
      journaled().filter((type) => type === 'refused' || type === 'released'),
      ['refused', 'released'],
    );
    await assert.rejects(mover.commit(EPOCH, never), { code: 'GODWIT_NOT_ARMED' });
  });

  test('a released destination reports why its source gave it up, in the words of the source', async (t) => {
    const { mover, dir } = await armed(t);
    const because = godwitError('GODWIT_CANCELLED', { guest: 'web1', host: 'a' }).toJSON();
    await mover.release(EPOCH, never, { because });
    const report = destinationReportOf(readJournals(dir).destination, Date.now());
    assert.deepEqual([report?.outcome, report?.error], ['cancelled', because]);
  });

  test("the destination's mover does nothing under another epoch", async (t) => {
    const { mover, hosts } = await armed(t);
    await assert.rejects(mover.commit(EPOCH + 1, never), { code: 'GODWIT_NOT_ARMED' });
    await assert.rejects(mover.release(EPOCH - 1, never), { code: 'GODWIT_NOT_ARMED' });
    assert.equal(hosts.destination?.run, 'incoming');
  });

  test('a destination that refused before its commit arrived ignores the commit', async (t) => {
    const scene = await armed(t);
    arrive(scene);
    const refusing = scene.mover.refuse(EPOCH);
    await assert.rejects(scene.mover.commit(EPOCH, never), { code: 'GODWIT_NOT_ARMED' });
    await refusing;
    assert.equal(scene.hosts.destination?.run, 'paused');
  });

  test('a failed preparation is reported, and can be repeated or released', async (t) => {
    const { mover, hosts, preparation, journaled } = await open(t);
    hosts.faults.set('destination.start', { when: 'after' });
    await assert.rejects(mover.prepare(preparation, never), { code: 'GODWIT_HYPERVISOR' });
    assert.ok(journaled().includes('failed'));
    await mover.prepare(preparation, never);
    assert.equal(hosts.alive.length, 2);
    await mover.release(EPOCH, never);
    assert.deepEqual(hosts.alive, [hosts.source]);
  });

  test("the destination's journal gives its state", async (t) => {
    const { mover, dir } = await armed(t);
    const events = readJournals(dir).destination.map(({ event }) => event);
    assert.deepEqual(replayDestination(events), mover.state);
    assert.equal((await mover.status()).state, 'armed');
  });

  test('a mover that took over an ended migration exits once the source was answered', async (t) => {
    const { mover: first } = await armed(t);
    await first.release(EPOCH, never);
    const { mover } = await open(t, first.state, true);
    let over = false;
    void mover.ended.then(() => (over = true));
    await mover.release(EPOCH, never);
    await nextTurn();
    assert.ok(over);
  });

  test("the destination's mover reports at once when its hypervisor is gone", async (t) => {
    const { mover, hosts } = await armed(t);
    const { destination } = hosts;
    if (destination !== undefined) hosts.world.kill(destination);
    assert.equal((await mover.status()).hypervisor, 'gone');
    await assert.rejects(mover.commit(EPOCH, never), { code: 'GODWIT_NOT_ARMED' });
  });
});

describe('a silent source', () => {
  test('a source that is silent for too long is given up: the destination refuses and releases the guest', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { mover, hosts, time, journaled } = await armed(t);
    time.now += LEASE_MS - 1;
    t.mock.timers.tick(5000);
    assert.equal(mover.state.stage, 'prepared');
    time.now += 1;
    t.mock.timers.tick(5000);
    await mover.ended;
    assert.deepEqual(hosts.alive, [hosts.source]);
    const reported = journaled().filter((type) => type !== 'hypervisor');
    assert.deepEqual(reported.slice(-3), ['failed', 'refused', 'released']);
  });

  test('a source that calls now and then is not given up', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { mover, time } = await armed(t);
    for (let count = 0; count < 5; count += 1) {
      time.now += LEASE_MS - 1;
      await mover.status();
      t.mock.timers.tick(5000);
    }
    assert.equal((await mover.arm(EPOCH)).state, 'armed');
  });

  test('a source that is silent after the commit is not awaited: the guest runs here and is settled', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const scene = await armed(t);
    arrive(scene);
    await scene.mover.commit(EPOCH, never);
    scene.time.now += 10 * LEASE_MS;
    t.mock.timers.tick(5000);
    await scene.mover.ended;
    assert.equal(scene.hosts.destination?.run, 'running');
    assert.equal((await scene.mover.status()).state, 'finished');
  });
});
