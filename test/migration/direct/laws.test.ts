import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { phaseOf } from '../../../src/migration/direct/source/source-state.ts';
import { STEPS } from '../../../src/migration/direct/source/steps.ts';
import { effectsOf, transition } from '../../../src/migration/direct/source/transition.ts';
import { streamMode } from '../../../src/protocol/public/migration.ts';
import { assertHandedOver, assertSourceRuns, isDoing } from './endings.ts';
import { chance, driveUntil, settle } from './drive.ts';
import { anyEvent } from './events.ts';
import { planned } from './samples.ts';
import { World } from './world.ts';

const modes = streamMode.options;

describe('invariants', () => {
  test('without deaths the guest runs in one place at the end, or is held', () => {
    fc.assert(
      fc.property(chance({ deaths: false, faults: true }), ({ world, moves }) => {
        settle(world);
        const reported = moves.join(', ');
        if (world.outcome === 'done')
          assert.equal(world.destination?.hypervisor, 'running', reported);
        if (world.outcome === 'failed' || world.outcome === 'cancelled') {
          assert.equal(world.run, 'running', reported);
          const clean = world.destination === undefined || world.destination.isClean;
          assert.ok(clean || world.state.leftovers.length > 0, reported);
        }
        if (world.outcome === 'lost') assert.equal(world.state.via, 'postcopy', reported);
      }),
      { numRuns: 2000 },
    );
  });

  test('the migration ends and two copies never run, even if hypervisors die', () => {
    fc.assert(
      fc.property(chance({ deaths: true, faults: true }), ({ world, moves }) => {
        settle(world);
        const running = [world.run, world.destination?.hypervisor].includes('running');
        const died = moves.some((move) => move.endsWith('dies'));
        assert.ok(running || died || world.outcome === 'held', moves.join(', '));
        if (world.outcome === 'failed' || world.outcome === 'cancelled') {
          assert.ok(['running', 'gone'].includes(world.run), moves.join(', '));
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('without faults only the user ends a migration early, and then it is canceled or timed out', () => {
    fc.assert(
      fc.property(chance({ deaths: false, faults: false }), ({ world, moves }) => {
        settle(world);
        if (world.outcome !== 'done') {
          assert.ok(moves.includes('cancel') || moves.includes('timeout'), moves.join(', '));
        }
        if (world.outcome === 'failed' || world.outcome === 'cancelled') assertSourceRuns(world);
      }),
      { numRuns: 1000 },
    );
  });

  test('any event in any reachable state gives a state', () => {
    fc.assert(
      fc.property(
        chance({ deaths: true, faults: true }),
        fc.array(anyEvent, { minLength: 1, maxLength: 30 }),
        ({ world }, events) => {
          let state = world.state;
          for (const event of events) {
            const before = state;
            const after = transition(state, event);
            state = after.state;
            const kinds = ['do', 'undo', 'end', 'restart', 'give-up'];
            assert.ok(kinds.includes(state.doing.kind));
            const reopened = event.type === 'resolved' && phaseOf(before) === 'held';
            if (before.doing.kind === 'end' && !reopened) {
              assert.deepEqual(state.doing, before.doing);
            }
            const step = 'step' in before.doing ? before.doing.step : before.doing.kind;
            if (state.right === 'committing' && before.right !== 'committing') {
              assert.equal(before.right, 'armed', `commit from ${step} without arms`);
            }
          }
        },
      ),
      { numRuns: 1500 },
    );
  });

  test('an ended migration stays ended, and reports that to a mover that takes over', () => {
    fc.assert(
      fc.property(chance({ deaths: true, faults: true }), anyEvent, ({ world }, event) => {
        settle(world);
        // That is the one way out of the one end from which there is one; it has its own tests.
        fc.pre(event.type !== 'resolved' || world.outcome !== 'held');
        const after = transition(world.state, event);
        assert.deepEqual(after.state.doing, world.state.doing);
        const expected = event.type === 'taken-over' ? effectsOf(world.state) : [];
        assert.deepEqual(after.effects, expected);
      }),
    );
  });
});

describe('idempotence', () => {
  for (const one of modes) {
    test(`a mover may be replaced after each effect: ${one}`, () => {
      // Takes over before each move in turn, with the effect under way done but its answer lost.
      for (let at = 0, ended = false; !ended; at += 1) {
        const world = new World(planned({ mode: one }));
        let count = 0;
        try {
          driveUntil(world, () => (count += 1) > at);
        } catch {
          ended = true;
          continue;
        }
        const [effect] = world.pending;
        if (effect !== undefined) world.carryOut(effect);
        world.takeover();
        settle(world);
        assertHandedOver(world);
      }
    });
  }

  test('undoing twice has the effect of undoing once, at each step of the rollback', () => {
    for (const one of modes) {
      for (let at = 0; at < 5; at += 1) {
        const world = new World(planned({ mode: one }));
        driveUntil(world, isDoing('memory'));
        world.answer();
        world.dispatch({ type: 'cancel' });
        for (let count = 0; count < at && !world.ended; count += 1) world.answer();
        const [effect] = world.pending;
        if (effect !== undefined) world.carryOut(effect);
        world.takeover();
        settle(world);
        assert.equal(world.outcome, 'cancelled');
        assertSourceRuns(world);
      }
    }
  });

  test('the effects of a state are those that its last event requested', () => {
    fc.assert(
      fc.property(chance({ deaths: true, faults: true }), ({ world }) => {
        const [effect] = effectsOf(world.state);
        const { doing } = world.state;
        assert.equal(effect?.type, doing.kind);
        if ('step' in doing) assert.ok(STEPS[doing.step]);
      }),
    );
  });
});
