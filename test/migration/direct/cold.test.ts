import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { godwitError } from '../../../src/errors.ts';
import { countedChecks } from '../../../src/migration/direct/cold.ts';
import { sourceFacts } from '../../../src/migration/direct/side-facts.ts';
import {
  deadlineOf,
  isBeforeNoReturn,
  STEP_NAMES,
  STEPS,
  type StepName,
} from '../../../src/migration/direct/steps.ts';
import { chance, driveUntil, settle } from './drive.ts';
import { askedFor, assertHandedOver, assertSourceRuns, isDoing, isOfDisks } from './endings.ts';
import { errorOf, planned } from './samples.ts';
import { World } from './world.ts';

const settings = { mode: 'cold' } as const;
const isOfStream = (step: StepName): boolean => STEPS[step].cold === 'left out';
const steps = STEP_NAMES.filter((step) => !isOfStream(step));

function begun(world: World): StepName[] {
  return world.journal.flatMap((event) => (event.type === 'did' ? [event.step] : []));
}

function shuttingDown(copies = false): World {
  const world = new World(planned(settings), copies);
  driveUntil(world, isDoing('switchover'));
  return world;
}

describe('a cold move', () => {
  for (const copies of [true, false]) {
    test(`sends no memory and starts the guest there; disks copied: ${copies}`, () => {
      const world = new World(planned(settings), copies);
      settle(world);
      assertHandedOver(world);
      assert.deepEqual(begun(world).filter(isOfStream), []);
      assert.equal(world.state.via, 'none');
    });
  }

  for (const step of steps.filter(isBeforeNoReturn)) {
    for (const when of ['before', 'after'] as const) {
      test(`ends with the guest at its source where ${step} fails ${when} its effect`, () => {
        const world = new World(planned({ ...settings, ...askedFor(step) }), isOfDisks(step));
        driveUntil(world, isDoing(step));
        world.answer(when, errorOf());
        settle(world);
        assert.equal(world.outcome, 'failed');
        assertSourceRuns(world);
      });
    }
  }

  test('writes down that it shuts the guest down before it presses the button', () => {
    const world = shuttingDown();
    assert.equal(world.run, 'running');
    assert.deepEqual(world.journal.at(-1), { type: 'did', step: 'arm', facts: {} });
    assert.equal(world.state.right, 'armed');
  });

  for (const step of ['prepare', 'arm', 'mirror'] as const) {
    test(`whose guest is paused by its owner in ${step} waits for no shutdown on its way back`, () => {
      const world = new World(planned(settings), isOfDisks(step));
      driveUntil(world, isDoing(step));
      world.dispatch({ type: 'hypervisor', event: { type: 'stopped', halt: { kind: 'paused' } } });
      settle(world);
      assert.equal(world.outcome, 'failed');
      assert.equal(world.state.because?.code, 'GODWIT_GUEST_HALTED');
      assert.deepEqual(world.state.halted, { kind: 'paused' });
      const undone = world.journal.flatMap((each) => (each.type === 'undid' ? [each.step] : []));
      assert.ok(undone.includes('arm') && !undone.includes('switchover'), undone.join());
    });
  }

  test('cancelled while the guest shuts down starts it again at its source', () => {
    const world = shuttingDown(true);
    world.carryOut({ type: 'do', step: 'switchover' });
    world.dispatch({ type: 'cancel' });
    settle(world);
    assert.equal(world.outcome, 'cancelled');
    assertSourceRuns(world);
  });

  test('whose guest cannot be started again tries three times, and is held rather than failed', () => {
    const world = shuttingDown(true);
    world.answer('after', errorOf());
    for (let tries = 0; tries < 3; tries += 1) world.answer('before', errorOf());
    settle(world);
    assert.equal(world.outcome, 'held');
    assert.equal(world.destination?.isClean, true);
  });

  test('is not refused for what speaks against sending memory alone', () => {
    const checks = [{ name: 'blocked' }, { name: 'state' }, { name: 'dirty-tracking' }];
    assert.deepEqual(countedChecks(checks, { plan: planned(settings) }), [{ name: 'state' }]);
    assert.deepEqual(countedChecks(checks, { plan: planned() }), checks);
  });

  test('is undone with words of its own where the guest does not heed its power button', () => {
    const world = shuttingDown();
    const late = godwitError('GODWIT_DEADLINE', { what: 'step switchover', deadlineMs: 600_000 });
    world.answer('before', late.toJSON());
    settle(world);
    assert.equal(world.outcome, 'failed');
    assert.equal(world.state.because?.code, 'GODWIT_NOT_SHUT_DOWN');
    assert.equal(world.state.because?.facts?.['deadlineMs'], 600_000);
    assertSourceRuns(world);
  });

  test('gives the guest as long to shut down as the whole migration may take', () => {
    const { state } = shuttingDown();
    assert.equal(deadlineOf('switchover', state), state.plan.settings.timeoutMs);
  });

  test('whose destination refuses once the hypervisor here has ended starts the guest here anew', () => {
    const world = new World(planned(settings), true);
    driveUntil(world, isDoing('commit'));
    world.destination?.call('refuse');
    settle(world);
    assert.equal(world.outcome, 'failed');
    assert.equal(world.state.because?.code, 'GODWIT_NOT_ARMED');
    assert.equal(world.state.right, 'abandoned');
    assertSourceRuns(world);
  });

  test('whose answer to commit is missing is held, and says that all of the guest is still here', () => {
    const world = new World(planned(settings));
    driveUntil(world, isDoing('commit'));
    const silent = { peer: 'b', address: 'b:7000', reason: 'no answer' };
    world.answer('after', godwitError('GODWIT_UNREACHABLE', silent).toJSON());
    assert.equal(world.outcome, 'held');
    const { hypervisor, complete } = sourceFacts(world.state, 'gone');
    assert.deepEqual({ hypervisor, complete }, { hypervisor: 'handed-over', complete: true });
  });

  test('that any mover takes over in the midst of ends as it would have', () => {
    for (const step of steps.filter((each) => each !== 'wait')) {
      const world = new World(planned(settings), true);
      driveUntil(world, isDoing(step));
      world.takeover();
      settle(world);
      assertHandedOver(world);
    }
  });

  test('never runs two copies, whatever fails, and ends with one or is held', () => {
    fc.assert(
      fc.property(chance({ deaths: false, faults: true, settings }), ({ world, moves }) => {
        settle(world);
        const reported = moves.join(', ');
        if (world.outcome === 'done')
          assert.equal(world.destination?.hypervisor, 'running', reported);
        else if (world.outcome !== 'held') assert.equal(world.run, 'running', reported);
        assert.notEqual(world.outcome, 'lost', reported);
      }),
      { numRuns: 2000 },
    );
  });

  test('never runs two copies where hypervisors die as well', () => {
    fc.assert(
      fc.property(chance({ deaths: true, faults: true, settings }), ({ world }) => {
        settle(world);
        world.check();
      }),
      { numRuns: 2000 },
    );
  });
});
