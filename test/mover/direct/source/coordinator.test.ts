import assert from 'node:assert/strict';
import { before, describe, test, type TestContext } from 'node:test';
import { replaySource } from '../../../../src/migration/direct/journal.ts';
import { type CancelAnswer, streamMode } from '../../../../src/protocol/public/migration.ts';
import { hostsFor, type Hosts } from '../lay-host.ts';
import { Stage } from '../stage.ts';
import { assertMoved, assertStayed, openFor, openHeld } from '../ends.ts';

let certificates: Hosts;

before(async (t) => {
  certificates = await hostsFor(t as TestContext);
});

describe('a migration', () => {
  for (const one of streamMode.options) {
    test(`a migration moves a guest: ${one}`, async (t) => {
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

  test('a migration asks the hypervisors for each action once', async (t) => {
    const stage = await Stage.open(t, certificates);
    await stage.run();
    const asked = stage.hosts.calls.filter((call) => !/sample|status/.test(call));
    assert.deepEqual(asked.toSorted(), [...new Set(asked)].toSorted());
  });
});

describe('a failure before the point of no return', () => {
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
      test(`the guest stays at the source if ${call} fails ${when} its effect`, async (t) => {
        const stage = await openFor(call, t, certificates);
        // Reading the guest begins with `admit`, and is begun anew where that failed.
        const always = call === 'driver.openSource' || call === 'source.inspect';
        stage.hosts.faults.set(call, { when, always });
        assert.equal(await stage.run(), 'failed');
        assertStayed(stage);
        assert.equal(stage.report.error?.code, 'GODWIT_HYPERVISOR');
      });
    }
  }

  for (const call of ['source.configure', 'source.startMemory', 'destination.start']) {
    test(`the guest stays at the source if ${call} fails over a change of the guest, which is the reported reason`, async (t) => {
      const stage = await openFor(call, t, certificates);
      const disk = { kind: 'disk', name: 'disk0' } as const;
      stage.hosts.snapshot = { parts: [{ ...disk, value: 'raw:/srv/g1.img' }] };
      stage.hosts.faults.set(call, { when: 'before' });
      stage.hosts.onCall = (name) => {
        if (name !== call) return;
        stage.hosts.snapshot = { parts: [{ ...disk, value: 'qcow2:/srv/g1.over' }] };
      };
      assert.equal(await stage.run(), 'failed');
      assertStayed(stage);
      assert.equal(stage.report.error?.code, 'GODWIT_GUEST_CHANGED');
    });
  }

  test('the guest stays at the source if startPostcopy fails before its effect, each time', async (t) => {
    const stage = await Stage.open(t, certificates, 'postcopy');
    stage.hosts.faults.set('source.startPostcopy', { when: 'before', always: true });
    assert.equal(await stage.run(), 'failed');
    assertStayed(stage);
  });

  test('startPostcopy that fails once, before or after its effect, is tried again', async (t) => {
    for (const when of ['before', 'after'] as const) {
      const stage = await Stage.open(t, certificates, 'postcopy');
      stage.hosts.faults.set('source.startPostcopy', { when });
      assert.equal(await stage.run(), 'done');
      assertMoved(stage);
    }
  });

  test('the guest stays at the source if the link breaks while memory moves', async (t) => {
    const stage = await Stage.open(t, certificates, 'hybrid');
    stage.hosts.onCall = (name) => {
      if (name === 'source.sample' && stage.hosts.source.stream === 'active')
        stage.hosts.breakLink();
    };
    assert.equal(await stage.run(), 'failed');
    assertStayed(stage);
    assert.equal(stage.report.error?.code, 'GODWIT_STREAM_FAILED');
  });

  test("the guest stays at the source if the destination's hypervisor dies before it is resumed", async (t) => {
    const stage = await openHeld(t, certificates);
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

describe('an immovable guest', () => {
  test('an immovable guest is refused by the name of its device, with every check', async (t) => {
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

  test('an immovable guest is refused by the feature that the destination lacks', async (t) => {
    const stage = await Stage.open(t, certificates, 'precopy', { machine: 'pc-of-tomorrow' });
    assert.equal(await stage.run(), 'failed');
    assertStayed(stage);
    assert.equal(stage.report.error?.code, 'GODWIT_MACHINE_TYPE');
    assert.ok(!stage.hosts.calls.includes('destination.start'));
  });
});

describe('a failure after the point of no return', () => {
  for (const call of ['destination.resumeGuest', 'source.quit', 'destination.settle'] as const) {
    for (const when of ['before', 'after'] as const) {
      test(`a late call is tried again: ${call} fails ${when} its effect`, async (t) => {
        const stage = await Stage.open(t, certificates);
        stage.hosts.faults.set(call, { when });
        assert.equal(await stage.run(), 'done');
        assertMoved(stage);
      });
    }
  }

  test('a late call that always fails is held if the guest could not be resumed', async (t) => {
    const stage = await Stage.open(t, certificates);
    stage.hosts.faults.set('destination.resumeGuest', { when: 'before', always: true });
    assert.equal(await stage.run(), 'held');
    const { source, destination } = stage.hosts;
    assert.deepEqual([source.run, destination?.run], ['handed-over', 'paused']);
    assert.equal(stage.report.runsAt, 'unknown');
  });

  test('a late call that fails to announce the guest has no effect on the result', async (t) => {
    const stage = await Stage.open(t, certificates);
    stage.hosts.faults.set('destination.announce', { when: 'before' });
    assert.equal(await stage.run(), 'done');
    assertMoved(stage);
  });

  test('post-copy is resumed after a broken link', async (t) => {
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
    test(`a cancel during ${call} rolls back`, async (t) => {
      const stage = await openFor(call, t, certificates);
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
    test(`a cancel during ${call} is too late, and reports it`, async (t) => {
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

describe('a replaced destination mover', () => {
  const calls = [
    'destination.assess',
    'destination.start',
    'source.configure',
    'source.startMemory',
    'source.continueSwitchover',
    'source.quit',
  ];
  for (const call of [...calls, 'destination.resumeGuest', 'destination.settle']) {
    test(`a replaced destination mover continues the work of the dead one: killed during ${call}`, async (t) => {
      const stage = await openFor(call, t, certificates);
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
