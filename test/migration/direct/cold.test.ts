import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { godwitError } from '../../../src/errors.ts';
import { countedChecks } from '../../../src/migration/direct/cold.ts';
import { sourceFacts } from '../../../src/migration/direct/operator/side-facts.ts';
import {
  deadlineOf,
  isBeforeNoReturn,
  STEP_NAMES,
  STEPS,
  type StepName,
} from '../../../src/migration/direct/source/steps.ts';
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
    test(`a cold move sends no memory and starts the guest at the destination; disks copied: ${copies}`, () => {
      const world = new World(planned(settings), copies);
      settle(world);
      assertHandedOver(world);
      assert.deepEqual(begun(world).filter(isOfStream), []);
      assert.equal(world.state.via, 'none');
    });
  }

  for (const step of steps.filter(isBeforeNoReturn)) {
    for (const when of ['before', 'after'] as const) {
      test(`a cold move leaves the guest at its source if ${step} fails ${when} its effect`, () => {
        const world = new World(planned({ ...settings, ...askedFor(step) }), isOfDisks(step));
        driveUntil(world, isDoing(step));
        world.answer(when, errorOf());
        settle(world);
        assert.equal(world.outcome, 'failed');
        assertSourceRuns(world);
      });
    }
  }

  test('a cold move records the shutdown before it presses the power button', () => {
    const world = shuttingDown();
    assert.equal(world.run, 'running');
    assert.deepEqual(world.journal.at(-1), { type: 'did', step: 'arm', facts: {} });
    assert.equal(world.state.right, 'armed');
  });

  for (const step of ['prepare', 'arm', 'mirror'] as const) {
    test(`a cold move of a guest that its owner paused in ${step} does not wait for a shutdown in its rollback`, () => {
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

  test('a cold move that is canceled during the shutdown starts the guest again at its source', () => {
    const world = shuttingDown(true);
    world.carryOut({ type: 'do', step: 'switchover' });
    world.dispatch({ type: 'cancel' });
    settle(world);
    assert.equal(world.outcome, 'cancelled');
    assertSourceRuns(world);
  });

  test('a cold move tries three times to restart its guest, and is then held instead of failed', () => {
    const world = shuttingDown(true);
    world.answer('after', errorOf());
    for (let tries = 0; tries < 3; tries += 1) world.answer('before', errorOf());
    settle(world);
    assert.equal(world.outcome, 'held');
    assert.equal(world.destination?.isClean, true);
  });

  test('a cold move is not refused for reasons that concern only the transfer of memory', () => {
    const checks = [{ name: 'blocked' }, { name: 'state' }, { name: 'dirty-tracking' }];
    assert.deepEqual(countedChecks(checks, { plan: planned(settings) }), [{ name: 'state' }]);
    assert.deepEqual(countedChecks(checks, { plan: planned() }), checks);
  });

  test('a cold move has a separate reason for its rollback if the guest ignores its power button', () => {
    const world = shuttingDown();
    const late = godwitError('GODWIT_DEADLINE', { what: 'step switchover', deadlineMs: 600_000 });
    world.answer('before', late.toJSON());
    settle(world);
    assert.equal(world.outcome, 'failed');
    assert.equal(world.state.because?.code, 'GODWIT_NOT_SHUT_DOWN');
    assert.equal(world.state.because?.facts?.['deadlineMs'], 600_000);
    assertSourceRuns(world);
  });

  test('a guest may take as long for its shutdown as the whole migration may take', () => {
    const { state } = shuttingDown();
    assert.equal(deadlineOf('switchover', state), state.plan.settings.timeoutMs);
  });

  test('a cold move restarts the guest here if the destination refuses after the source hypervisor has exited', () => {
    const world = new World(planned(settings), true);
    driveUntil(world, isDoing('commit'));
    world.destination?.call('refuse');
    settle(world);
    assert.equal(world.outcome, 'failed');
    assert.equal(world.state.because?.code, 'GODWIT_NOT_ARMED');
    assert.equal(world.state.right, 'abandoned');
    assertSourceRuns(world);
  });

  test('a cold move is held if the commit gets no answer, and reports that the whole guest is still here', () => {
    const world = new World(planned(settings));
    driveUntil(world, isDoing('commit'));
    const silent = { peer: 'b', address: 'b:7000', reason: 'no answer' };
    world.answer('after', godwitError('GODWIT_UNREACHABLE', silent).toJSON());
    assert.equal(world.outcome, 'held');
    const { hypervisor, complete } = sourceFacts(world.state, 'gone');
    assert.deepEqual({ hypervisor, complete }, { hypervisor: 'handed-over', complete: true });
  });

  test('a cold move ends the same way after a mover takes over in the middle of it', () => {
    for (const step of steps.filter((each) => each !== 'wait')) {
      const world = new World(planned(settings), true);
      driveUntil(world, isDoing(step));
      world.takeover();
      settle(world);
      assertHandedOver(world);
    }
  });

  test('a cold move never runs two copies, whatever fails, and ends with one copy or is held', () => {
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

  test('a cold move never runs two copies even if hypervisors die', () => {
    fc.assert(
      fc.property(chance({ deaths: true, faults: true, settings }), ({ world }) => {
        settle(world);
        world.check();
      }),
      { numRuns: 2000 },
    );
  });
});
