import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  beginUndo,
  enter,
  finishUndo,
  hold,
  lost,
  stay,
} from '../../../src/migration/direct/state-changes.ts';
import { initialSource, type SourceState } from '../../../src/migration/direct/source-state.ts';
import { BASE, COPY, errorOf, planned } from './samples.ts';

const begun = initialSource(planned()).state;

describe('entering a step', () => {
  test('begins it, with its tries counted anew', () => {
    const { state, effects } = enter({ ...begun, attempts: 2 }, 'inspect');
    assert.deepEqual(state.doing, { kind: 'do', step: 'inspect' });
    assert.equal(state.attempts, 0);
    assert.deepEqual(effects, [{ type: 'do', step: 'inspect' }]);
  });

  test('moves the right to run in the same record: arm arms, commit commits', () => {
    const armed = enter(begun, 'arm').state;
    assert.equal(armed.right, 'armed');
    assert.equal(enter(armed, 'commit').state.right, 'committing');
  });

  test('skips the drain where pre-copy has sent everything', () => {
    const state: SourceState = { ...begun, via: 'precopy', stream: 'done' };
    assert.deepEqual(enter(state, 'drain').state.doing, { kind: 'do', step: 'verify' });
  });

  test('resumes a stream that paused while the commit was under way', () => {
    const state: SourceState = { ...begun, via: 'postcopy', stream: 'paused' };
    assert.deepEqual(enter(state, 'drain').effects, [
      { type: 'do', step: 'drain' },
      { type: 'recover' },
    ]);
  });

  test('has the destination asked where post-copy’s source ended while the commit was under way', () => {
    for (const stream of ['lost', 'failed'] as const) {
      const state: SourceState = { ...begun, via: 'postcopy', stream };
      assert.deepEqual(enter(state, 'drain').effects, [{ type: 'do', step: 'drain' }]);
    }
  });
});

describe('what the guest only reads of its disks', () => {
  test('is seen to before anything is built, where the hosts do not share it', () => {
    const known = { bases: [BASE] };
    assert.deepEqual(enter({ ...begun, known }, 'seed').state.doing, { kind: 'do', step: 'seed' });
    assert.deepEqual(enter(begun, 'seed').state.doing, { kind: 'do', step: 'prepare' });
  });
});

describe('the progress of backing files', () => {
  test('is not taken for that of the copies', () => {
    const disks = [{ node: 'base0', state: 'whole', copiedBytes: 1, totalBytes: 1 }] as const;
    const seeded: SourceState = { ...begun, known: { copies: [COPY] }, disks };
    assert.equal(enter(seeded, 'mirror').state.disks, undefined);
    assert.deepEqual(enter(seeded, 'prepare').state.disks, disks);
  });
});

describe('turning round', () => {
  test('stops what is being done, and undoes the nearest step that has an undo', () => {
    const { state, effects } = beginUndo(begun, 'prepare', errorOf());
    assert.deepEqual(effects, [{ type: 'undo', step: 'admit' }]);
    assert.deepEqual(state.because, errorOf());
  });

  test('ends as failed or cancelled when nothing is left to undo', () => {
    assert.deepEqual(finishUndo(begun, undefined).effects, [{ type: 'end', outcome: 'failed' }]);
    const cancelled = { ...begun, cancelled: true };
    assert.deepEqual(finishUndo(cancelled, undefined).effects, [
      { type: 'end', outcome: 'cancelled' },
    ]);
  });

  test('ends as held where the guest may be paused', () => {
    const unsure = { ...begun, unsure: true, leftovers: [errorOf('no answer')] };
    const { state } = finishUndo(unsure, undefined);
    assert.deepEqual(state.doing, { kind: 'end', outcome: 'held' });
    assert.match(state.because?.message ?? '', /be paused at a: .*no answer/);
  });
});

describe('ending without an answer', () => {
  test('says that it is held, and why, once', () => {
    const { state } = hold(begun, errorOf('the other side is dark'));
    assert.equal(state.because?.code, 'GODWIT_HELD');
    assert.match(state.because?.message ?? '', /the other side is dark/);
    assert.deepEqual(hold(state, state.because ?? errorOf()).state.because, state.because);
  });

  test('says that the guest is lost', () => {
    const { state, effects } = lost(begun, 'its source died');
    assert.equal(state.because?.code, 'GODWIT_LOST');
    assert.deepEqual(effects, [{ type: 'end', outcome: 'lost' }]);
  });

  test('staying changes nothing', () => {
    assert.deepEqual(stay(begun), { state: begun, effects: [] });
  });
});
