import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError } from '../../../src/errors.ts';
import type { SourceState } from '../../../src/migration/direct/source/source-state.ts';
import { transition } from '../../../src/migration/direct/source/transition.ts';
import { driveUntil } from './drive.ts';
import { isDoing } from './endings.ts';
import { planned } from './samples.ts';
import { World } from './world.ts';
import { unreachable } from './world-errors.ts';

/** Ways that test/model found to a wrong end; each is kept here by itself. */

const held = godwitError('GODWIT_HELD', { guest: 'web1', reason: 'it cannot tell' }).toJSON();
const gone = godwitError('GODWIT_HYPERVISOR_LOST', {
  side: 'source',
  guest: 'web1',
  reason: 'the host lost power',
}).toJSON();

function inMemory(): SourceState {
  const world = new World();
  driveUntil(world, isDoing('memory'));
  return world.state;
}

/** On its way back, about to undo `arm`. */
function undoingArm(rebooted: boolean): SourceState {
  const { state } = transition(inMemory(), { type: 'taken-over', pid: 9, rebooted });
  const turned = transition(state, { type: 'failed', step: 'memory', error: gone }).state;
  return transition(turned, { type: 'undo-failed', step: 'memory', error: gone }).state;
}

describe('a source that rebooted while armed', () => {
  test('a source that rebooted while armed assumes that a commit may have been sent and its record lost', () => {
    assert.equal(undoingArm(false).right, 'armed');
    assert.equal(undoingArm(true).right, 'committing');
  });

  test('a rebooted source does not report a failure while the guest may run at the destination', () => {
    const silent = { type: 'undo-failed', step: 'arm', error: unreachable } as const;
    assert.deepEqual(transition(undoingArm(true), silent).state.doing, {
      kind: 'end',
      outcome: 'held',
    });
    assert.deepEqual(transition(undoingArm(false), silent).state.doing, {
      kind: 'undo',
      step: 'configure',
    });
  });

  test('a rebooted source continues its rollback once the destination has refused', () => {
    const { state } = transition(undoingArm(true), { type: 'undid', step: 'arm' });
    assert.equal(state.right, 'abandoned');
    assert.deepEqual(state.doing, { kind: 'undo', step: 'configure' });
  });
});

test('a rebooted destination that cannot tell does not hold a source that has sent no commit', () => {
  const event = { type: 'undo-failed', step: 'arm', error: held } as const;
  const { state } = transition(undoingArm(false), event);
  assert.deepEqual(state.doing, { kind: 'undo', step: 'configure' });
  assert.equal(state.right, 'abandoned');
});

test('a destination whose hypervisor ended while it was resumed does not report that it runs', () => {
  const world = new World();
  driveUntil(world, isDoing('commit'));
  const destination = world.destination!;
  destination.record({ type: 'committed', epoch: world.plan.epoch });
  destination.report({ type: 'lost', reason: 'killed' });
  destination.record({ type: 'running', epoch: world.plan.epoch, resumeMs: 1 });
  assert.equal(destination.state.hypervisor, 'gone');
});

test("the source's hypervisor reports whether it still has the guest while post-copy is switched on", () => {
  const world = new World(planned({ mode: 'postcopy' }));
  driveUntil(world, isDoing('switchover'));
  const lost = transition(world.state, { type: 'destination-lost', error: unreachable });
  assert.deepEqual(lost, { state: world.state, effects: [] });
  const broken = { type: 'hypervisor', event: { type: 'failed', reason: 'cut' } } as const;
  assert.equal(transition(lost.state, broken).state.doing.kind, 'undo');
});
