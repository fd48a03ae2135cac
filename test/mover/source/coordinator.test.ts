import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { replaySource } from '../../../src/migration/journal.ts';
import { mode } from '../../../src/protocol/migration.ts';
import type { CancelAnswer } from '../../../src/protocol/contract.ts';
import { Stage, hostsFor, killSourceAt, spareSource } from '../stage.ts';
import type { Hosts } from '../stage.ts';

let certificates: Hosts;

before(async (t) => {
  certificates = await hostsFor(t as TestContext);
});

/** A migration whose switchover is held, though it goes by pre-copy: a hybrid one of a guest that writes little. */
function openHeld(t: TestContext): Promise<Stage> {
  return Stage.open(t, certificates, 'hybrid', { dirtyRate: 10 * 1024 ** 2 });
}

/** Where `continueSwitchover` is called at all. */
function openFor(call: string, t: TestContext): Promise<Stage> {
  return call === 'source.continueSwitchover' ? openHeld(t) : Stage.open(t, certificates);
}

/** The guest runs there, and nothing is left here. */
function assertMoved({ hosts, report }: Stage): void {
  assert.deepEqual(hosts.world.runningAt('web1'), ['b']);
  assert.deepEqual(hosts.alive, [hosts.destination]);
  assert.deepEqual([report.outcome, report.runsAt], ['done', 'destination']);
}

/** The guest runs here as it did, and nothing is left there. */
function assertStayed({ hosts, report }: Stage): void {
  assert.deepEqual(hosts.world.runningAt('web1'), ['a']);
  assert.deepEqual(hosts.alive, [hosts.source]);
  assert.deepEqual(hosts.source.settings, {});
  assert.equal(report.runsAt, 'source');
}

describe('a migration', () => {
  for (const one of mode.options) {
    test(`moves a guest: ${one}`, async (t) => {
      const stage = await Stage.open(t, certificates, one);
      assert.equal(await stage.run(), 'done');
      assertMoved(stage);
      assert.equal(stage.report.finished, one === 'precopy' ? 'precopy' : 'postcopy');
      assert.equal(typeof stage.report.downtimeMs, 'number');
      assert.deepEqual(replaySource(stage.events), stage.source.coordinator.state);
      assert.equal(stage.destination?.mover.state.stage, 'finished');
      assert.equal(stage.source.coordinator.live.latest.percent, 100);
    });
  }

  test('asks the hypervisors for each thing once', async (t) => {
    const stage = await Stage.open(t, certificates);
    await stage.run();
    const asked = stage.hosts.calls.filter((call) => !/sample|status/.test(call));
    assert.deepEqual(asked.toSorted(), [...new Set(asked)].toSorted());
  });
});

describe('a call that fails before the point of no return leaves the guest running at the source', () => {
  const source = [
    'driver.openSource',
    'source.ports',
    'source.inspect',
    'source.configure',
    'source.startMemory',
  ];
  const destination = ['driver.openDestination', 'destination.assess', 'destination.start'];
  for (const call of [...source, 'source.continueSwitchover', ...destination]) {
    for (const when of ['before', 'after'] as const) {
      // Opened, and never heard of again: that guest is held for good.
      if (call === 'driver.openSource' && when === 'after') continue;
      test(`${call} fails ${when} its effect`, async (t) => {
        const stage = await openFor(call, t);
        // Reading the guest begins with `admit`, and is begun anew where that failed.
        const always = call === 'driver.openSource' || call === 'source.inspect';
        stage.hosts.faults.set(call, { when, always });
        assert.equal(await stage.run(), 'failed');
        assertStayed(stage);
        assert.equal(stage.report.error?.code, 'GODWIT_HYPERVISOR');
      });
    }
  }

  test('startPostcopy fails before its effect', async (t) => {
    const stage = await Stage.open(t, certificates, 'postcopy');
    stage.hosts.faults.set('source.startPostcopy', { when: 'before' });
    assert.equal(await stage.run(), 'failed');
    assertStayed(stage);
  });

  test('the link breaks while memory moves', async (t) => {
    const stage = await Stage.open(t, certificates, 'hybrid');
    stage.hosts.onCall = (name) => {
      if (name === 'source.sample' && stage.hosts.source.stream === 'active')
        stage.hosts.breakLink();
    };
    assert.equal(await stage.run(), 'failed');
    assertStayed(stage);
    assert.equal(stage.report.error?.code, 'GODWIT_STREAM_FAILED');
  });

  test('the destination’s hypervisor dies before it is resumed', async (t) => {
    const stage = await openHeld(t);
    stage.hosts.onCall = (name) => {
      const { destination, world } = stage.hosts;
      if (name === 'source.continueSwitchover' && destination !== undefined)
        world.kill(destination);
    };
    const outcome = await stage.run();
    assert.equal(outcome, 'failed');
    assertStayed(stage);
  });
});

describe('a guest that cannot move is refused before anything is built', () => {
  test('by the name of its device, with everything that was checked', async (t) => {
    const stage = await Stage.open(t, certificates, 'precopy', { unmovable: ['gpu0'] });
    assert.equal(await stage.run(), 'failed');
    assertStayed(stage);
    const { error, checks } = stage.report;
    assert.equal(error?.code, 'GODWIT_DEVICE_UNMOVABLE');
    assert.match(error?.message ?? '', /gpu0/);
    assert.deepEqual(
      checks.map(({ verdict }) => verdict),
      ['refuse', 'pass'],
    );
    assert.ok(!stage.hosts.calls.includes('destination.start'));
    assert.ok(!stage.hosts.calls.includes('source.configure'));
  });

  test('by what the destination lacks', async (t) => {
    const stage = await Stage.open(t, certificates, 'precopy', { machine: 'pc-of-tomorrow' });
    assert.equal(await stage.run(), 'failed');
    assertStayed(stage);
    assert.equal(stage.report.error?.code, 'GODWIT_MACHINE_TYPE');
    assert.ok(!stage.hosts.calls.includes('destination.start'));
  });
});

describe('a call that fails past the point of no return', () => {
  for (const call of ['destination.resumeGuest', 'source.quit', 'destination.settle'] as const) {
    for (const when of ['before', 'after'] as const) {
      test(`is tried again: ${call} fails ${when} its effect`, async (t) => {
        const stage = await Stage.open(t, certificates);
        stage.hosts.faults.set(call, { when });
        assert.equal(await stage.run(), 'done');
        assertMoved(stage);
      });
    }
  }

  test('and fails always, is held where the guest could not be resumed', async (t) => {
    const stage = await Stage.open(t, certificates);
    stage.hosts.faults.set('destination.resumeGuest', { when: 'before', always: true });
    assert.equal(await stage.run(), 'held');
    const { source, destination } = stage.hosts;
    assert.deepEqual([source.run, destination?.run], ['handed-over', 'paused']);
    assert.equal(stage.report.runsAt, 'unknown');
  });

  test('of an announcement harms nothing', async (t) => {
    const stage = await Stage.open(t, certificates);
    stage.hosts.faults.set('destination.announce', { when: 'before' });
    assert.equal(await stage.run(), 'done');
    assertMoved(stage);
  });

  test('post-copy whose link breaks is taken up again', async (t) => {
    const stage = await Stage.open(t, certificates, 'postcopy');
    let broken = false;
    stage.hosts.onCall = (name) => {
      if (name !== 'destination.resumeGuest' || broken) return;
      broken = true;
      stage.hosts.breakLink();
    };
    assert.equal(await stage.run(), 'done');
    assertMoved(stage);
    assert.ok(stage.hosts.calls.includes('source.recover'));
  });
});

describe('a cancel', () => {
  const early = [
    'source.inspect',
    'source.ports',
    'driver.openDestination',
    'destination.assess',
    'destination.start',
    'source.configure',
  ];
  for (const call of [...early, 'source.startMemory', 'source.continueSwitchover']) {
    test(`during ${call} rolls back`, async (t) => {
      const stage = await openFor(call, t);
      let answer: Promise<CancelAnswer> | undefined;
      stage.hosts.onCall = (name) => {
        if (name === call) answer ??= stage.source.coordinator.cancel();
      };
      assert.equal(await stage.run(), 'cancelled');
      assertStayed(stage);
      assert.deepEqual(await answer, { accepted: true, what: 'rolling back: web1 runs on at a' });
      const again = await stage.source.coordinator.cancel();
      assert.equal(again.accepted, false);
      assert.match(again.what, /nothing to cancel: it is cancelled/);
    });
  }

  for (const call of ['destination.resumeGuest', 'source.quit', 'destination.settle']) {
    test(`during ${call} is too late, and says so`, async (t) => {
      const stage = await Stage.open(t, certificates);
      let answer: Promise<CancelAnswer> | undefined;
      stage.hosts.onCall = (name) => {
        if (name === call) answer ??= stage.source.coordinator.cancel();
      };
      assert.equal(await stage.run(), 'done');
      assertMoved(stage);
      const { accepted, what } = (await answer) ?? { accepted: true, what: '' };
      assert.equal(accepted, false);
      assert.match(what, /too late/);
    });
  }
});

/** Kills the source's mover around each record in turn, and lets a second one go on. */
async function takeOverEverywhere(
  t: TestContext,
  when: 'before' | 'after',
  open: (each: TestContext) => Promise<Stage>,
  check: (stage: Stage, outcome: string) => void,
): Promise<void> {
  for (let count = 0, ended = false; !ended; count += 1) {
    await t.test(`${when} record ${count + 1}`, async (each) => {
      const stage = await open(each);
      killSourceAt(each, count, when);
      try {
        const outcome = await stage.run();
        spareSource(each);
        ended = true;
        check(stage, outcome);
        return;
      } catch (thrown) {
        spareSource(each);
        if (!(thrown instanceof Error) || thrown.message !== 'the mover was killed') throw thrown;
      }
      check(stage, await stage.run());
      assert.deepEqual(replaySource(stage.events), stage.source.coordinator.state);
    });
  }
}

describe('a mover that takes over', () => {
  for (const one of mode.options) {
    for (const when of ['before', 'after'] as const) {
      test(`ends what a dead one began: ${one}, killed ${when} each record`, async (t) => {
        await takeOverEverywhere(
          t,
          when,
          (each) => Stage.open(each, certificates, one),
          (stage, outcome) => {
            assert.equal(outcome, 'done');
            assertMoved(stage);
          },
        );
      });
    }
  }

  test('ends a way back that a dead one began', async (t) => {
    const open = async (each: TestContext): Promise<Stage> => {
      const stage = await openHeld(each);
      stage.hosts.faults.set('source.continueSwitchover', { when: 'before', always: true });
      return stage;
    };
    await takeOverEverywhere(t, 'after', open, (stage, outcome) => {
      assert.equal(outcome, 'failed');
      assertStayed(stage);
    });
  });
});

describe('a destination’s mover that is replaced', () => {
  const calls = [
    'destination.assess',
    'destination.start',
    'source.configure',
    'source.startMemory',
    'source.continueSwitchover',
    'source.quit',
  ];
  for (const call of [...calls, 'destination.resumeGuest', 'destination.settle']) {
    test(`goes on where the dead one stood: killed during ${call}`, async (t) => {
      const stage = await openFor(call, t);
      let killed = false;
      stage.hosts.onCall = (name) => {
        if (name !== call || killed) return;
        killed = true;
        stage.killDestination();
      };
      assert.equal(await stage.run(), 'done');
      assertMoved(stage);
    });
  }
});
