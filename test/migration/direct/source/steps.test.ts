import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  initialSource,
  type SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import {
  deadlineOf,
  isLeftOut,
  POINT_OF_NO_RETURN,
  LAST_REHEARSED,
  STEPS,
  STEP_NAMES,
  isBeforeNoReturn,
  nextStep,
  stepIndex,
  undoAtOrBefore,
  undoBefore,
} from '../../../../src/migration/direct/source/steps.ts';
import { MAX_WAIT_MS } from '../../../../src/migration/preflight/limits.ts';
import { isEnd, phase } from '../../../../src/protocol/public/migration.ts';
import { BASE, COPY, descriptionOf, planned } from '../samples.ts';
import { World } from '../world.ts';

describe('the table of steps', () => {
  test('each step in the table has an undo or a reason for having none', () => {
    for (const name of STEP_NAMES) {
      const { undo, noUndo } = STEPS[name];
      assert.equal(undo === undefined, noUndo !== undefined, name);
    }
  });

  test('steps from the point of no return on are never undone', () => {
    for (const name of STEP_NAMES) {
      if (!isBeforeNoReturn(name)) assert.equal(STEPS[name].undo, undefined, name);
    }
    assert.equal(isBeforeNoReturn(POINT_OF_NO_RETURN), false);
    assert.equal(isBeforeNoReturn('switchover'), true);
  });

  test('the table of steps goes through the phases in order', () => {
    const places = STEP_NAMES.map((name) => phase.options.indexOf(STEPS[name].phase));
    assert.deepEqual(
      places,
      places.toSorted((one, other) => one - other),
    );
    assert.ok(STEP_NAMES.every((name) => !isEnd(STEPS[name].phase)));
  });

  test('every step in the table has a deadline', () => {
    for (const name of STEP_NAMES) {
      const { deadline } = STEPS[name];
      assert.ok(typeof deadline === 'string' || (deadline > 0 && deadline <= 120_000), name);
    }
  });
});

describe('the order of the steps', () => {
  test('the steps lead from the first to the last', () => {
    const way = [];
    for (let at: (typeof STEP_NAMES)[number] | undefined = STEP_NAMES[0]; at; at = nextStep(at)) {
      way.push(at);
    }
    assert.deepEqual(way, [...STEP_NAMES]);
    assert.equal(stepIndex('finish'), STEP_NAMES.length - 1);
  });

  test('the rollback leads over every step that has an undo, in reverse', () => {
    const way = [];
    for (let at = undoAtOrBefore('switchover'); at !== undefined; at = undoBefore(at)) way.push(at);
    const undoable = STEP_NAMES.filter((name) => STEPS[name].undo !== undefined);
    assert.deepEqual(way, undoable.toReversed());
  });
});

describe('a rehearsal', () => {
  test('a rehearsal has no step that moves the right to run or stops the guest, and none after such a step', () => {
    const rehearsed = STEP_NAMES.filter((name) => STEPS[name].rehearsed);
    assert.equal(rehearsed.at(-1), LAST_REHEARSED);
    assert.ok(rehearsed.every((name) => isBeforeNoReturn(name)));
    for (const name of ['arm', 'switchover', POINT_OF_NO_RETURN] as const) {
      assert.ok(!rehearsed.includes(name), name);
    }
  });
});

const begun = (settings: Parameters<typeof planned>[0] = {}): SourceState =>
  initialSource(planned(settings)).state;
const leftOut = (state: SourceState): string[] =>
  STEP_NAMES.filter((step) => isLeftOut(step, state));

const ALL: SourceState['known'] = {
  bases: [BASE],
  copies: [COPY],
  unplugged: [{ device: 'gpu0', again: {} }],
};

describe('a migration', () => {
  test('a migration skips the steps that have nothing to do', () => {
    assert.deepEqual(leftOut(begun()), ['seed', 'mirror', 'unplug', 'balloon']);
  });

  test('a migration does each step that has something to do', () => {
    assert.deepEqual(leftOut({ ...begun({ balloon: 'free' }), known: ALL }), []);
  });

  test('a migration skips the drain if pre-copy, or the stream, has sent everything', () => {
    const state: SourceState = { ...begun({ balloon: 'free' }), known: ALL };
    assert.deepEqual(leftOut({ ...state, via: 'precopy' }), ['drain']);
    assert.deepEqual(leftOut({ ...state, via: 'postcopy', stream: 'done' }), ['drain']);
  });

  test('a cold migration skips every step that only a stream of memory needs', () => {
    const cold: SourceState = { ...begun({ mode: 'cold', balloon: 'free' }), known: ALL };
    assert.deepEqual(leftOut(cold), ['configure', 'unplug', 'balloon', 'memory', 'drain']);
  });
});

const GRACE_MS = 30_000;
const SESSION = { session: '0'.repeat(32) };

describe('a step', () => {
  const { state } = new World(planned({ timeoutMs: 7000, linkGraceMs: GRACE_MS }));

  test('a step may take the time in the table, or the time allowed for the whole migration', () => {
    for (const step of STEP_NAMES) {
      const { deadline } = STEPS[step];
      if (deadline === 'asked') continue;
      assert.equal(deadlineOf(step, state), deadline === 'timeout' ? 7000 : deadline, step);
    }
  });

  test('a step that waits may wait for any moment that can be requested', () => {
    assert.ok(deadlineOf('wait', state) > MAX_WAIT_MS);
    // What a timer of Node takes.
    assert.ok(deadlineOf('wait', state) < 2 ** 31);
  });

  test('a handover step may take longer if the whole guest state moves while it is stopped', () => {
    const own = Number(STEPS.switchover.deadline);
    const of = (handsOverMs: number) =>
      deadlineOf('switchover', { ...state, known: { ...state.known, handsOverMs } });
    assert.equal(of(0), own);
    assert.equal(of(60_000), own + 60_000);
  });

  test('a step that passes the right to run may take longer if devices get their state back', () => {
    const own = Number(STEPS.commit.deadline);
    const of = (resumesMs: number) =>
      deadlineOf('commit', { ...state, known: { ...state.known, resumesMs } });
    assert.equal(of(0), own);
    assert.equal(of(600_000), own + 600_000);
  });

  test('a step that ends the source hypervisor may take longer the more memory it has', () => {
    const own = Number(STEPS.retire.deadline);
    const of = (memoryBytes: number) => {
      const large = { ...descriptionOf(), memoryBytes };
      return deadlineOf('retire', { ...state, known: { ...state.known, description: large } });
    };
    assert.equal(of(64 * 1024 ** 3), own + 64_000);
    assert.equal(of(1024 ** 4), own + 1_024_000);
  });

  test('a step that compares disks may take the whole time once more', () => {
    const plan = { ...state.plan, settings: { ...state.plan.settings, verifyDisks: true } };
    assert.equal(deadlineOf('retire', { ...state, plan }), 7000 + Number(STEPS.retire.deadline));
  });

  test('a post-copy switch over the wire outlasts a cut that the wire may repair', () => {
    const own = Number(STEPS.switchover.deadline);
    const overWire = { ...state, known: { ...state.known, wire: SESSION } };
    assert.equal(deadlineOf('switchover', { ...overWire, via: 'postcopy' }), own + GRACE_MS);
    assert.equal(deadlineOf('switchover', { ...overWire, via: 'precopy' }), own);
    assert.equal(deadlineOf('switchover', { ...state, via: 'postcopy' }), own);
  });
});
