import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { STEPS, STEP_NAMES, type StepName } from '../../../src/migration/direct/source/steps.ts';
import { streamMode } from '../../../src/protocol/public/migration.ts';
import { chance, driveUntil, settle } from './drive.ts';
import { askedFor, assertSourceRuns, exitCodeOf, isDoing, isOfDisks } from './endings.ts';
import { errorOf, planned } from './samples.ts';
import { World } from './world.ts';

const modes = streamMode.options;
const rehearsed = STEP_NAMES.filter((step) => STEPS[step].rehearsed);

function begun(world: World): StepName[] {
  return world.journal.flatMap((event) => (event.type === 'did' ? [event.step] : []));
}

describe('a rehearsal', () => {
  for (const one of modes) {
    for (const copies of [true, false]) {
      const disks = copies ? 'copied disks' : 'no disks';
      test(`a rehearsal reaches the switch and leaves the guest unchanged: ${one}, ${disks}`, () => {
        const world = new World(planned({ mode: one, rehearse: true }), copies);
        settle(world);
        assert.equal(world.outcome, 'rehearsed');
        assert.equal(world.state.cameTo, one === 'precopy' ? 'precopy' : 'postcopy');
        assert.equal(exitCodeOf(world.state), 0);
        assertSourceRuns(world);
      });
    }

    for (const step of rehearsed) {
      for (const when of ['before', 'after'] as const) {
        test(`a rehearsal ends as the migration would after a failure: ${one}, ${step} fails ${when} its effect`, () => {
          const asked = { mode: one, rehearse: true, ...askedFor(step) };
          const world = new World(planned(asked), isOfDisks(step));
          driveUntil(world, isDoing(step));
          world.answer(when, errorOf());
          settle(world);
          assert.equal(world.outcome, 'failed');
          assert.deepEqual(world.state.because, errorOf());
          assertSourceRuns(world);
        });
      }
    }
  }

  test('a rehearsal is undone the same way as a canceled migration', () => {
    const cancelled = new World(planned(), true);
    driveUntil(cancelled, isDoing('memory'));
    cancelled.dispatch({ type: 'cancel' });
    settle(cancelled);
    const turned = new World(planned({ rehearse: true }), true);
    settle(turned);
    const undone = ({ journal }: World): StepName[] =>
      journal.flatMap((event) => (event.type === 'undid' ? [event.step] : []));
    assert.deepEqual(undone(turned), undone(cancelled));
    assert.ok(!begun(turned).includes('arm'));
  });

  test('a rehearsal that is canceled is no longer a rehearsal', () => {
    const world = new World(planned({ rehearse: true }));
    driveUntil(world, isDoing('memory'));
    world.dispatch({ type: 'cancel' });
    settle(world);
    assert.equal(world.outcome, 'cancelled');
    assertSourceRuns(world);
  });

  test('a rehearsal that could not clean up does not report that everything is unchanged', () => {
    const world = new World(planned({ rehearse: true }));
    driveUntil(
      world,
      ({ state: { doing } }) => doing.kind === 'undo' && doing.step === 'configure',
    );
    world.answer('before', errorOf());
    settle(world);
    assert.equal(world.outcome, 'failed');
    assert.deepEqual(world.state.because, errorOf());
  });

  test('a rehearsal whose guest ends during its undo does not report that everything is unchanged', () => {
    const world = new World(planned({ rehearse: true }));
    driveUntil(world, ({ state: { doing } }) => doing.kind === 'undo');
    world.dispatch({ type: 'hypervisor', event: { type: 'lost', reason: 'killed' } });
    settle(world);
    assert.equal(world.outcome, 'failed');
    assert.equal(world.state.because?.code, 'GODWIT_HYPERVISOR_LOST');
  });

  test('a rehearsal never moves the right to run, whatever happens', () => {
    fc.assert(
      fc.property(
        chance({ deaths: true, faults: true, settings: { rehearse: true } }),
        ({ world, moves }) => {
          settle(world);
          const reported = moves.join(', ');
          assert.ok(!['done', 'lost'].includes(world.outcome), reported);
          assert.ok(['held', 'abandoned'].includes(world.state.right), reported);
          assert.ok(
            begun(world).every((step) => STEPS[step].rehearsed),
            reported,
          );
          assert.ok(!world.sent.includes('arm') && !world.sent.includes('commit'), reported);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
