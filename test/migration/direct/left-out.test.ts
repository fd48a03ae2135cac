import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isLeftOut } from '../../../src/migration/direct/left-out.ts';
import { initialSource, type SourceState } from '../../../src/migration/direct/source-state.ts';
import { STEP_NAMES } from '../../../src/migration/direct/steps.ts';
import { BASE, COPY, planned } from './samples.ts';

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
  test('leaves out what it has nothing for', () => {
    assert.deepEqual(leftOut(begun()), ['seed', 'mirror', 'unplug', 'balloon']);
  });

  test('does each step where there is something to do', () => {
    assert.deepEqual(leftOut({ ...begun({ balloon: 'free' }), known: ALL }), []);
  });

  test('leaves out the drain where pre-copy, or the stream, has sent everything', () => {
    const state: SourceState = { ...begun({ balloon: 'free' }), known: ALL };
    assert.deepEqual(leftOut({ ...state, via: 'precopy' }), ['drain']);
    assert.deepEqual(leftOut({ ...state, via: 'postcopy', stream: 'done' }), ['drain']);
  });

  test('that is cold leaves out all that only a stream of memory needs', () => {
    const cold: SourceState = { ...begun({ mode: 'cold', balloon: 'free' }), known: ALL };
    assert.deepEqual(leftOut(cold), ['configure', 'unplug', 'balloon', 'memory', 'drain']);
  });
});
