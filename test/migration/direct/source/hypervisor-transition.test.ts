import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { HypervisorEvent } from '../../../../src/migration/direct/hypervisor.ts';
import { transition } from '../../../../src/migration/direct/source/transition.ts';
import { godwitError, type SerialError } from '../../../../src/errors.ts';
import { onHypervisor } from '../../../../src/migration/direct/source/hypervisor-transition.ts';
import type { SourceState } from '../../../../src/migration/direct/source/source-state.ts';
import { HALT_KINDS } from '../../../../src/protocol/guest-halt.ts';
import { END_KINDS } from '../../../../src/protocol/guest-end.ts';
import type { HaltKind } from '../../../../src/migration/guest-changes/run-states.ts';
import {
  STEP_NAMES,
  stepIndex,
  type StepName,
} from '../../../../src/migration/direct/source/steps.ts';
import { driveUntil } from '../drive.ts';
import { askedFor, isDoing, isOfDisks } from '../endings.ts';
import { anyHypervisorEvent } from '../events.ts';
import { planned } from '../samples.ts';
import { World } from '../world.ts';

function stateIn(step: StepName): SourceState {
  const mode = step === 'drain' ? 'postcopy' : 'precopy';
  const world = new World(planned({ mode, ...askedFor(step) }), isOfDisks(step));
  driveUntil(world, isDoing(step));
  return world.state;
}

function memoryOf(mode: 'precopy' | 'hybrid'): SourceState {
  const world = new World(planned({ mode }));
  driveUntil(world, isDoing('memory'));
  return world.state;
}

/** What a step leads to when the hypervisor says this. */
function after(step: StepName, event: HypervisorEvent): string {
  const { doing } = onHypervisor(stateIn(step), event).state;
  if (doing.kind === 'end') return doing.outcome;
  return 'step' in doing ? `${doing.kind} ${doing.step}` : doing.kind;
}

test('a guest that its hypervisor runs here is stopped exactly if the destination may run it', () => {
  for (const step of STEP_NAMES) {
    const before = stateIn(step);
    const { effects } = onHypervisor(before, { type: 'resumed' });
    const elsewhere = before.right === 'committing' || before.right === 'passed';
    assert.equal(
      effects.some(({ type }) => type === 'stop'),
      elsewhere,
      step,
    );
  }
  assert.deepEqual(onHypervisor(stateIn('drain'), { type: 'resumed' }).effects, [{ type: 'stop' }]);
  // With the destination's refusal in hand this side resumes it, whatever its own journal says of the right yet.
  const back: SourceState = { ...stateIn('commit'), doing: { kind: 'undo', step: 'switchover' } };
  assert.equal(back.right, 'committing');
  assert.deepEqual(onHypervisor(back, { type: 'resumed' }).effects, []);
});

describe('memory transfer', () => {
  test('the start of the switch ends the memory transfer if the switch is not held', () => {
    assert.equal(after('memory', { type: 'device' }), 'do switchover');
    assert.deepEqual(onHypervisor(memoryOf('hybrid'), { type: 'device' }).effects, []);
  });

  test("the guest's stop leads to the switch if the switch is held", () => {
    const { effects } = onHypervisor(memoryOf('hybrid'), { type: 'pre-switchover' });
    assert.deepEqual(effects, [{ type: 'do', step: 'switchover' }]);
  });

  test('a hypervisor that stops at the switch without an order is continued', () => {
    const { effects } = onHypervisor(memoryOf('precopy'), { type: 'pre-switchover' });
    assert.deepEqual(effects, [{ type: 'do', step: 'switchover' }, { type: 'continue' }]);
  });

  test('a switch that no mover saw leads on to the commit', () => {
    assert.equal(after('memory', { type: 'completed' }), 'do commit');
    assert.equal(after('memory', { type: 'postcopy-active' }), 'do commit');
    assert.equal(after('memory', { type: 'postcopy-paused', reason: '' }), 'do commit');
  });

  test('a stream that broke, was canceled or lost its source rolls the migration back', () => {
    assert.equal(after('memory', { type: 'failed', reason: 'x' }), 'undo memory');
    assert.equal(after('memory', { type: 'cancelled' }), 'undo memory');
    assert.equal(after('memory', { type: 'lost', reason: 'x' }), 'undo memory');
  });
});

describe('the switch', () => {
  test('the switch is followed by the commit once everything was handed over', () => {
    assert.equal(after('switchover', { type: 'completed' }), 'do commit');
    assert.equal(after('switchover', { type: 'device' }), 'do switchover');
  });

  test('a break before the complete handover rolls the migration back', () => {
    assert.equal(after('switchover', { type: 'failed', reason: 'x' }), 'undo switchover');
  });

  test('a stop before the switch to post-copy is continued', () => {
    const state: SourceState = { ...stateIn('switchover'), via: 'postcopy' };
    assert.deepEqual(onHypervisor(state, { type: 'pre-switchover' }).effects, [
      { type: 'continue' },
    ]);
    assert.deepEqual(onHypervisor(stateIn('switchover'), { type: 'pre-switchover' }).effects, []);
  });

  test('pre-copy that finished before the switch to post-copy counts as pre-copy', () => {
    const state: SourceState = { ...stateIn('switchover'), via: 'postcopy' };
    assert.equal(onHypervisor(state, { type: 'completed' }).state.via, 'precopy');
  });
});

test('a post-copy stream that breaks before the destination runs is resumed while commit waits', () => {
  const world = new World(planned({ mode: 'postcopy' }));
  driveUntil(world, isDoing('commit'));
  const paused = { type: 'postcopy-paused', reason: '' } as const;
  assert.deepEqual(onHypervisor(world.state, paused).effects, [{ type: 'recover' }]);
  const precopy: SourceState = { ...world.state, via: 'precopy' };
  assert.deepEqual(onHypervisor(precopy, paused).effects, []);
});

describe('the post-copy drain', () => {
  test('the end of the post-copy drain leads to a check, a pause to a recovery, a break to a question', () => {
    assert.equal(after('drain', { type: 'completed' }), 'do verify');
    const paused = onHypervisor(stateIn('drain'), { type: 'postcopy-paused', reason: '' });
    assert.deepEqual(paused.effects, [{ type: 'recover' }]);
    for (const type of ['failed', 'lost'] as const) {
      const broken = onHypervisor(stateIn('drain'), { type, reason: 'x' });
      assert.deepEqual(broken.effects, [{ type: 'do', step: 'drain' }]);
      assert.equal(broken.state.stream, type);
    }
  });
});

describe('any step', () => {
  test('reports of the pre-copy source no longer change the course after the switch', () => {
    for (const step of ['commit', 'verify', 'retire', 'finish'] as const) {
      fc.assert(
        fc.property(anyHypervisorEvent, (event) => {
          const before = stateIn(step);
          const next = onHypervisor(before, event);
          assert.deepEqual(next.state.doing, before.doing);
          const runsHere = event.type === 'resumed';
          assert.deepEqual(next.effects, runsHere ? [{ type: 'stop' }] : []);
        }),
        { numRuns: 40 },
      );
    }
  });

  test('remains of an older stream are not part of this one', () => {
    const before = STEP_NAMES.filter((step) => stepIndex(step) < stepIndex('memory'));
    for (const step of before) {
      for (const type of ['completed', 'active', 'cancelled'] as const) {
        const state = stateIn(step);
        assert.deepEqual(onHypervisor(state, { type }).state, state);
      }
    }
  });

  test('a source that is gone before the memory moved rolls the migration back', () => {
    for (const step of ['inspect', 'prepare', 'configure', 'arm'] as const) {
      const { state } = onHypervisor(stateIn(step), { type: 'lost', reason: 'killed' });
      assert.equal(state.doing.kind, 'undo');
      assert.equal(state.because?.code, 'GODWIT_HYPERVISOR_LOST');
    }
  });

  test('a source that exits after the complete handover is not a loss', () => {
    const state = stateIn('commit');
    const next = onHypervisor(state, { type: 'lost', reason: 'it has quit' });
    assert.equal(next.state.stream, 'done');
  });
});

describe('a guest stopped for an unrelated reason', () => {
  const haltedIn = (step: StepName, kind: HaltKind) =>
    onHypervisor(stateIn(step), { type: 'stopped', halt: { kind } });

  test('an unrelated stop while memory moves rolls the migration back, and the error names it', () => {
    for (const kind of HALT_KINDS) {
      for (const step of ['memory', 'switchover'] as const) {
        const { state } = haltedIn(step, kind);
        assert.deepEqual(state.doing, { kind: 'undo', step }, `${kind} in ${step}`);
        assert.equal(state.because?.code, 'GODWIT_GUEST_HALTED');
        assert.deepEqual(state.halted, { kind });
      }
    }
    const error = { kind: 'io-error', what: 'disk0 (no space left)' } as const;
    const { because } = onHypervisor(stateIn('memory'), { type: 'stopped', halt: error }).state;
    assert.equal(
      because?.message,
      'web1 was stopped by an I/O error of disk0 (no space left) while it moved',
    );
  });

  test('an unrelated stop ends the move before memory moves only if the guest cannot run again by then', () => {
    for (const step of STEP_NAMES.filter((name) => stepIndex(name) < stepIndex('memory'))) {
      assert.equal(after(step, { type: 'stopped', halt: { kind: 'paused' } }), `do ${step}`);
      const { doing } = haltedIn(step, 'shut-down').state;
      assert.notEqual(doing.kind, 'do', step);
    }
  });

  test('a guest stopped for an unrelated reason stays stopped in the rollback until its owner runs it', () => {
    const { state } = haltedIn('memory', 'paused');
    const cancelled = onHypervisor(state, { type: 'cancelled' }).state;
    assert.deepEqual(cancelled.halted, { kind: 'paused' });
    assert.equal(onHypervisor(cancelled, { type: 'resumed' }).state.halted, undefined);
  });

  test('a stop by Godwit, before post-copy or for a cold move, is not an unrelated stop', () => {
    const postcopy: SourceState = { ...stateIn('switchover'), via: 'postcopy' };
    const paused = onHypervisor(postcopy, { type: 'stopped', halt: { kind: 'paused' } }).state;
    assert.deepEqual([paused.halted, paused.doing.kind], [undefined, 'do']);
    const cold: SourceState = {
      ...postcopy,
      plan: { ...postcopy.plan, settings: { ...postcopy.plan.settings, mode: 'cold' } },
    };
    const down = onHypervisor(cold, { type: 'stopped', halt: { kind: 'shut-down' } }).state;
    assert.deepEqual([down.halted, down.doing.kind], [undefined, 'do']);
  });

  test('a guest whose hypervisor exits with it has ended by itself, or by an order', () => {
    const reason = 'its process has ended';
    for (const ended of END_KINDS) {
      const { because } = onHypervisor(stateIn('memory'), { type: 'lost', reason, ended }).state;
      assert.equal(because?.code, 'GODWIT_GUEST_ENDED');
      assert.match(because.message, /^web1 (shut itself down|panicked|was ended)/);
    }
    const { because } = onHypervisor(stateIn('memory'), { type: 'lost', reason }).state;
    assert.equal(because?.code, 'GODWIT_HYPERVISOR_LOST');
  });

  test("a hypervisor's exit is reported even if its broken stream, copy or monitor was noticed first", () => {
    const reason = 'write EPIPE; process 7 has ended';
    const guest = 'web1';
    const signs: readonly SerialError[] = [
      godwitError('GODWIT_DISK_FAILED', { guest, device: 'disk0', reason }).toJSON(),
      godwitError('GODWIT_MONITOR_UNREACHABLE', { side: 'source', guest, reason }).toJSON(),
      godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest, reason }).toJSON(),
    ];
    const moving = stateIn('memory');
    const backs = [
      ...(['cancelled', 'failed', 'lost'] as const).map(
        (type) => onHypervisor(moving, { type, reason }).state,
      ),
      ...signs.map((error) => transition(moving, { type: 'failed', step: 'memory', error }).state),
    ];
    for (const back of backs) {
      assert.equal(back.doing.kind, 'undo');
      const ended = onHypervisor(back, { type: 'lost', reason, ended: 'ordered' }).state;
      assert.equal(ended.because?.code, 'GODWIT_GUEST_ENDED', back.because?.code ?? '');
      assert.deepEqual(ended.doing, back.doing);
      // An end that the hypervisor did not report explains nothing.
      const gone = onHypervisor(back, { type: 'lost', reason }).state;
      assert.deepEqual(gone.because, back.because);
    }
  });

  test('a move that is already rolling back for another reason keeps that reason', () => {
    const moving = stateIn('memory');
    const error = (code: 'GODWIT_GUEST_CHANGED' | 'GODWIT_HYPERVISOR_LOST'): SerialError =>
      code === 'GODWIT_GUEST_CHANGED'
        ? godwitError(code, { guest: 'web1', what: 'disk0' }).toJSON()
        : godwitError(code, { side: 'destination', guest: 'web1', reason: 'killed' }).toJSON();
    const backs = (['GODWIT_GUEST_CHANGED', 'GODWIT_HYPERVISOR_LOST'] as const).map(
      (code) => transition(moving, { type: 'failed', step: 'memory', error: error(code) }).state,
    );
    backs.push(transition(moving, { type: 'cancel' }).state);
    for (const back of backs) {
      const ended = onHypervisor(back, { type: 'lost', reason: 'x', ended: 'ordered' }).state;
      assert.deepEqual(ended.because, back.because);
    }
  });
});
