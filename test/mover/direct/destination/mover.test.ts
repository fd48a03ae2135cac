import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { destinationReportOf } from '../../../../src/migration/report/destination.ts';
import { godwitError } from '../../../../src/errors.ts';
import type { Clock } from '../../../../src/clock.ts';
import { parseAgentConfig } from '../../../../src/config.ts';
import { silentLog } from '../../../../src/log.ts';
import { initialDestination } from '../../../../src/migration/direct/destination.ts';
import type { DestinationState } from '../../../../src/migration/direct/destination.ts';
import { replayDestination } from '../../../../src/migration/direct/journal.ts';
import { DestinationMover } from '../../../../src/mover/direct/destination/mover.ts';
import { openPlaceIds } from '../../../../src/mover/direct/destination/place-ids.ts';
import { openDestinationJournal, readJournals } from '../../../../src/host/journal.ts';
import type { Preparation } from '../../../../src/protocol/peer/migration.ts';
import { TwoHosts } from '../two-hosts.ts';

const EPOCH = 5;
const LEASE_MS = 180_000;
const never = new AbortController().signal;

/** Time that passes when the test says so. */
class Time implements Clock {
  now = 0;
  wallMs(): number {
    return this.now;
  }
  monotonicMs(): number {
    return this.now;
  }
  async sleep(): Promise<void> {}
}

interface Scene {
  readonly mover: DestinationMover;
  readonly hosts: TwoHosts;
  readonly time: Time;
  readonly dir: string;
  /** What is journaled, as its types. */
  readonly journaled: () => string[];
  readonly preparation: Preparation;
}

const preparationOf = (hosts: TwoHosts): Preparation => ({
  epoch: EPOCH,
  description: {
    driver: 'fake',
    name: 'web1',
    memoryBytes: hosts.source.guest.memoryBytes,
    vcpus: 1,
    hypervisorVersion: '1.0.0',
    spec: { machine: 'fake-1', dirtyRate: 1, nics: [] },
  },
  stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
});

async function open(t: TestContext, state?: DestinationState, tookOver = false): Promise<Scene> {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  const hosts = await TwoHosts.boot('precopy');
  const time = new Time();
  const { journal } = openDestinationJournal(dir, time);
  const admission = {
    id: 'm-00000001',
    guest: 'web1',
    from: 'a',
    memoryBytes: hosts.source.guest.memoryBytes,
    epoch: EPOCH,
    timeoutMs: 1000,
  };
  const admitted = { type: 'admitted', admission, host: 'b' } as const;
  await journal.append(admitted, 'sync');
  const text = JSON.stringify({ name: 'b', address: '127.0.0.1:7001', stateDir: dir });
  const mover = new DestinationMover(
    {
      dir,
      placeIds: openPlaceIds(dir),
      config: parseAgentConfig('agent.json', text),
      driver: hosts.driver('b', { dead: false, silent: false }),
      bootId: () => 'boot-1',
      journal,
      clock: time,
      log: silentLog,
    },
    { ...initialDestination(admitted), ...state },
  );
  t.after(async () => {
    await mover.close();
    hosts.close();
    rmSync(dir, { recursive: true, force: true });
  });
  await mover.start(tookOver);
  const journaled = (): string[] => readJournals(dir).destination.map(({ event }) => event.type);
  return { mover, hosts, time, dir, journaled, preparation: preparationOf(hosts) };
}

async function armed(t: TestContext): Promise<Scene> {
  const scene = await open(t);
  await scene.mover.prepare(scene.preparation, never);
  await scene.mover.arm(EPOCH);
  return scene;
}

/** As if the source had handed everything over. */
function arrive({ hosts }: Scene): void {
  const { source, destination } = hosts;
  assert.ok(destination !== undefined);
  source.run = 'handed-over';
  destination.run = 'paused';
}

describe('the destination’s mover', () => {
  test('writes down what it is about to do before it does it', async (t) => {
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

  test('does what it is asked twice once, and answers twice', async (t) => {
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

  test('released, leaves nothing behind and gives its word first', async (t) => {
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

  test('released, tells why its source gave it up, in the words of the source', async (t) => {
    const { mover, dir } = await armed(t);
    const because = godwitError('GODWIT_CANCELLED', { guest: 'web1', host: 'a' }).toJSON();
    await mover.release(EPOCH, never, because);
    const report = destinationReportOf(readJournals(dir).destination, Date.now());
    assert.deepEqual([report?.outcome, report?.error], ['cancelled', because]);
  });

  test('does nothing under another epoch', async (t) => {
    const { mover, hosts } = await armed(t);
    await assert.rejects(mover.commit(EPOCH + 1, never), { code: 'GODWIT_NOT_ARMED' });
    await assert.rejects(mover.release(EPOCH - 1, never), { code: 'GODWIT_NOT_ARMED' });
    assert.equal(hosts.destination?.run, 'incoming');
  });

  test('that refused before its commit came ignores the commit', async (t) => {
    const scene = await armed(t);
    arrive(scene);
    const refusing = scene.mover.refuse(EPOCH);
    await assert.rejects(scene.mover.commit(EPOCH, never), { code: 'GODWIT_NOT_ARMED' });
    await refusing;
    assert.equal(scene.hosts.destination?.run, 'paused');
  });

  test('tells a failed preparation, and can be asked again or released', async (t) => {
    const { mover, hosts, preparation, journaled } = await open(t);
    hosts.faults.set('destination.start', { when: 'after' });
    await assert.rejects(mover.prepare(preparation, never), { code: 'GODWIT_HYPERVISOR' });
    assert.ok(journaled().includes('failed'));
    await mover.prepare(preparation, never);
    assert.equal(hosts.alive.length, 2);
    await mover.release(EPOCH, never);
    assert.deepEqual(hosts.alive, [hosts.source]);
  });

  test('keeps a journal that tells its state', async (t) => {
    const { mover, dir } = await armed(t);
    const events = readJournals(dir).destination.map(({ event }) => event);
    assert.deepEqual(replayDestination(events), mover.state);
    assert.equal((await mover.status()).state, 'armed');
  });

  test('that took over what has ended here ends once the source was answered', async (t) => {
    const { mover: first } = await armed(t);
    await first.release(EPOCH, never);
    const { mover } = await open(t, first.state, true);
    let over = false;
    void mover.ended.then(() => (over = true));
    await mover.release(EPOCH, never);
    await nextTurn();
    assert.ok(over);
  });

  test('says at once when its hypervisor is gone', async (t) => {
    const { mover, hosts } = await armed(t);
    const { destination } = hosts;
    if (destination !== undefined) hosts.world.kill(destination);
    assert.equal((await mover.status()).hypervisor, 'gone');
    await assert.rejects(mover.commit(EPOCH, never), { code: 'GODWIT_NOT_ARMED' });
  });
});

describe('a guest that runs at its destination', () => {
  test('is found gone by whoever asks, before its hypervisor’s end has been heard', async (t) => {
    const scene = await armed(t);
    arrive(scene);
    await scene.mover.commit(EPOCH, never);
    assert.equal((await scene.mover.status()).hypervisor, 'running');
    const { destination } = scene.hosts;
    if (destination !== undefined) destination.alive = false;
    assert.equal(scene.mover.state.hypervisor, 'running');
    assert.equal((await scene.mover.status()).hypervisor, 'gone');
    assert.equal((await scene.mover.status()).hypervisor, 'gone');
    const lost = scene.journaled().filter((type) => type === 'hypervisor').length;
    await scene.mover.status();
    assert.equal(scene.journaled().filter((type) => type === 'hypervisor').length, lost);
  });
});

describe('a guest that has run at its destination', () => {
  test('is not run again by a commit that comes once more, and its loss is not held against the commit', async (t) => {
    const scene = await armed(t);
    arrive(scene);
    await scene.mover.commit(EPOCH, never);
    const { destination } = scene.hosts;
    if (destination !== undefined) scene.hosts.world.kill(destination);
    const again = await scene.mover.commit(EPOCH, never);
    assert.equal(again.epoch, EPOCH);
    assert.equal((await scene.mover.status()).hypervisor, 'gone');
    const resumed = scene.hosts.calls.filter((call) => call === 'destination.resumeGuest');
    assert.equal(resumed.length, 1);
  });
});

describe('a migration whose guest is known to be gone', () => {
  const gone = async (t: TestContext): Promise<Scene> => {
    const scene = await armed(t);
    arrive(scene);
    await scene.mover.commit(EPOCH, never);
    const { destination } = scene.hosts;
    if (destination !== undefined) scene.hosts.world.kill(destination);
    return scene;
  };

  test('is not called finished', async (t) => {
    const { mover, journaled } = await gone(t);
    await assert.rejects(mover.finish(EPOCH, never), { code: 'GODWIT_LOST' });
    assert.ok(!journaled().includes('finished'));
    await mover.tearDown(EPOCH, never);
    await mover.ended;
  });

  test('is settled by a mover that took over: its guest may have ended long after', async (t) => {
    const { mover: first } = await gone(t);
    const { mover, hosts } = await open(t, first.state, true);
    await mover.finish(EPOCH, never).catch(() => undefined);
    assert.ok(hosts.calls.includes('destination.settle'));
  });
});

describe('a source that is silent', () => {
  test('for too long is given up: the destination refuses and releases', async (t) => {
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

  test('is not, when it asks now and then', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { mover, time } = await armed(t);
    for (let count = 0; count < 5; count += 1) {
      time.now += LEASE_MS - 1;
      await mover.status();
      t.mock.timers.tick(5000);
    }
    assert.equal((await mover.arm(EPOCH)).state, 'armed');
  });

  test('after the commit is not waited for: the guest runs here, and is settled', async (t) => {
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
