import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deadlineOf, restartMs, undoMs } from '../../../src/migration/direct/step-deadline.ts';
import { MAX_WAIT_MS } from '../../../src/migration/preflight/limits.ts';
import { STEPS, STEP_NAMES } from '../../../src/migration/direct/steps.ts';
import { descriptionOf, planned } from './samples.ts';
import { World } from './world.ts';

const GRACE_MS = 30_000;
const SESSION = { session: '0'.repeat(32) };

describe('a step', () => {
  const { state } = new World(planned({ timeoutMs: 7000, linkGraceMs: GRACE_MS }));

  test('may take what the table says, or what is allowed for the whole migration', () => {
    for (const step of STEP_NAMES) {
      const { deadline } = STEPS[step];
      if (deadline === 'asked') continue;
      assert.equal(deadlineOf(step, state), deadline === 'timeout' ? 7000 : deadline, step);
    }
  });

  test('that waits may wait for every moment that may be asked for', () => {
    assert.ok(deadlineOf('wait', state) > MAX_WAIT_MS);
    // What a timer of Node takes.
    assert.ok(deadlineOf('wait', state) < 2 ** 31);
  });

  test('that hands over may take longer where all of the guest’s state goes while it is stopped', () => {
    const own = Number(STEPS.switchover.deadline);
    const of = (handsOverMs: number) =>
      deadlineOf('switchover', { ...state, known: { ...state.known, handsOverMs } });
    assert.equal(of(0), own);
    assert.equal(of(60_000), own + 60_000);
  });

  test('that passes the right to run may take longer where devices get back what they had', () => {
    const own = Number(STEPS.commit.deadline);
    const of = (resumesMs: number) =>
      deadlineOf('commit', { ...state, known: { ...state.known, resumesMs } });
    assert.equal(of(0), own);
    assert.equal(of(600_000), own + 600_000);
  });

  test('that ends the source’s hypervisor may take longer the more memory that has', () => {
    const own = Number(STEPS.retire.deadline);
    const of = (memoryBytes: number) => {
      const large = { ...descriptionOf(), memoryBytes };
      return deadlineOf('retire', { ...state, known: { ...state.known, description: large } });
    };
    assert.equal(of(64 * 1024 ** 3), own + 64_000);
    assert.equal(of(1024 ** 4), own + 1_024_000);
  });

  test('that is undone, and a new start, may take longer the more memory a copy has', () => {
    const large = {
      known: { ...state.known, description: { ...descriptionOf(), memoryBytes: 1024 ** 4 } },
    };
    const none = { known: { ...state.known, description: undefined } };
    assert.equal(undoMs(large) - undoMs(none), 1_024_000);
    assert.equal(restartMs(large) - restartMs(none), 2_048_000);
  });

  test('that compares disks may take all the time once more', () => {
    const plan = { ...state.plan, settings: { ...state.plan.settings, verifyDisks: true } };
    assert.equal(deadlineOf('retire', { ...state, plan }), 7000 + Number(STEPS.retire.deadline));
  });

  test('of a switch to post-copy over the wire outlasts a cut that the wire may repair', () => {
    const own = Number(STEPS.switchover.deadline);
    const overWire = { ...state, known: { ...state.known, wire: SESSION } };
    assert.equal(deadlineOf('switchover', { ...overWire, via: 'postcopy' }), own + GRACE_MS);
    assert.equal(deadlineOf('switchover', { ...overWire, via: 'precopy' }), own);
    assert.equal(deadlineOf('switchover', { ...state, via: 'postcopy' }), own);
  });
});
