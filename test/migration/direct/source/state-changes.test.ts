import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  beginUndo,
  enter,
  finishUndo,
  hold,
  lost,
  stay,
} from '../../../../src/migration/direct/source/state-changes.ts';
import {
  initialSource,
  type SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import { BASE, COPY, errorOf, planned } from '../samples.ts';

const begun = initialSource(planned()).state;

describe('transitions into a step', () => {
  test('a transition into a step begins it and resets its attempts', () => {
    const { state, effects } = enter({ ...begun, attempts: 2 }, 'inspect');
    assert.deepEqual(state.doing, { kind: 'do', step: 'inspect' });
    assert.equal(state.attempts, 0);
    assert.deepEqual(effects, [{ type: 'do', step: 'inspect' }]);
  });

  test('a transition into arm or commit moves the right to run in the same record', () => {
    const armed = enter(begun, 'arm').state;
    assert.equal(armed.right, 'armed');
    assert.equal(enter(armed, 'commit').state.right, 'committing');
  });

  test('a transition skips the drain if pre-copy has sent everything', () => {
    const state: SourceState = { ...begun, via: 'precopy', stream: 'done' };
    assert.deepEqual(enter(state, 'drain').state.doing, { kind: 'do', step: 'verify' });
  });

  test('a transition resumes a stream that paused during the commit', () => {
    const state: SourceState = { ...begun, via: 'postcopy', stream: 'paused' };
    assert.deepEqual(enter(state, 'drain').effects, [
      { type: 'do', step: 'drain' },
      { type: 'recover' },
    ]);
  });

  test('a transition asks the destination if the post-copy source ended during the commit', () => {
    for (const stream of ['lost', 'failed'] as const) {
      const state: SourceState = { ...begun, via: 'postcopy', stream };
      assert.deepEqual(enter(state, 'drain').effects, [{ type: 'do', step: 'drain' }]);
    }
  });
});

describe('read-only images', () => {
  test('images that the guest only reads are prepared before anything is built if the hosts do not share them', () => {
    const known = { bases: [BASE] };
    assert.deepEqual(enter({ ...begun, known }, 'seed').state.doing, { kind: 'do', step: 'seed' });
    assert.deepEqual(enter(begun, 'seed').state.doing, { kind: 'do', step: 'prepare' });
  });
});

describe('the progress of backing files', () => {
  test('the progress of backing files is separate from the progress of disk copies', () => {
    const disks = [{ node: 'base0', state: 'whole', copiedBytes: 1, totalBytes: 1 }] as const;
    const seeded: SourceState = { ...begun, known: { copies: [COPY] }, disks };
    assert.equal(enter(seeded, 'mirror').state.disks, undefined);
    assert.deepEqual(enter(seeded, 'prepare').state.disks, disks);
  });
});

describe('rollback', () => {
  test('a rollback stops the current work and undoes the nearest step that has an undo', () => {
    const { state, effects } = beginUndo(begun, 'prepare', errorOf());
    assert.deepEqual(effects, [{ type: 'undo', step: 'admit' }]);
    assert.deepEqual(state.because, errorOf());
  });

  test('a rollback ends as failed or canceled when nothing is left to undo', () => {
    assert.deepEqual(finishUndo(begun, undefined).effects, [{ type: 'end', outcome: 'failed' }]);
    const cancelled = { ...begun, cancelled: true };
    assert.deepEqual(finishUndo(cancelled, undefined).effects, [
      { type: 'end', outcome: 'cancelled' },
    ]);
  });

  test('a rollback ends as held if the guest may be paused', () => {
    const unsure = { ...begun, unsure: true, leftovers: [errorOf('no answer')] };
    const { state } = finishUndo(unsure, undefined);
    assert.deepEqual(state.doing, { kind: 'end', outcome: 'held' });
    assert.match(state.because?.message ?? '', /be paused at a: .*no answer/);
  });
});

describe('ending without an answer', () => {
  test('an end without an answer reports once that the migration is held, and why', () => {
    const { state } = hold(begun, errorOf('the other side is dark'));
    assert.equal(state.because?.code, 'GODWIT_HELD');
    assert.match(state.because?.message ?? '', /the other side is dark/);
    assert.deepEqual(hold(state, state.because ?? errorOf()).state.because, state.because);
  });

  test('an end without an answer reports that the guest is lost', () => {
    const { state, effects } = lost(begun, 'its source died');
    assert.equal(state.because?.code, 'GODWIT_LOST');
    assert.deepEqual(effects, [{ type: 'end', outcome: 'lost' }]);
  });

  test('a transition that stays in its state changes nothing', () => {
    assert.deepEqual(stay(begun), { state: begun, effects: [] });
  });
});
