import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  POINT_OF_NO_RETURN,
  STEP_NAMES,
  stepIndex,
  STEPS,
} from '../../../../src/migration/direct/source/steps.ts';
import type { SourceEffect } from '../../../../src/migration/direct/source/source-state.ts';
import { LIFECYCLE, type Lifecycle } from '../../../../src/mover/direct/source/lifecycle.ts';

describe('the lifecycle of a direct migration', () => {
  test('the direct lifecycle lists the steps in chronological order', () => {
    assert.deepEqual(Object.keys(LIFECYCLE), [...STEP_NAMES]);
  });

  test('the direct lifecycle undoes the steps that have an undo, and none from the point of no return on', () => {
    for (const step of STEP_NAMES) {
      const hasUndo = LIFECYCLE[step].undo !== undefined;
      assert.equal(hasUndo, STEPS[step].undo !== undefined, step);
      if (stepIndex(step) >= stepIndex(POINT_OF_NO_RETURN)) assert.equal(hasUndo, false, step);
    }
  });

  test('the direct lifecycle does not compile without a promised undo, nor with a denied one', () => {
    const { do: work } = LIFECYCLE.memory;
    // @ts-expect-error memory has to be undone.
    const without: Lifecycle = { ...LIFECYCLE, memory: { do: work } };
    // @ts-expect-error there is no way back from commit.
    const after: Lifecycle = { ...LIFECYCLE, commit: { do: work, undo: async () => {} } };
    assert.ok(without.memory !== LIFECYCLE.memory && after.commit !== LIFECYCLE.commit);
  });

  test('the direct lifecycle is asked for the undo only of a step that has one', () => {
    // @ts-expect-error nothing undoes commit.
    const step: Extract<SourceEffect, { type: 'undo' }>['step'] = 'commit';
    assert.equal(STEPS[step].undo, undefined);
  });
});
