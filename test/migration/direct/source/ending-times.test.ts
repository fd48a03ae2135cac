import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { restartMs, undoMs } from '../../../../src/migration/direct/source/ending-times.ts';
import { descriptionOf } from '../samples.ts';

describe('a step', () => {
  test('an undo or a new start may take longer if a copy has more memory', () => {
    const large = {
      known: { description: { ...descriptionOf(), memoryBytes: 1024 ** 4 } },
    };
    const none = { known: {} };
    assert.equal(undoMs(large) - undoMs(none), 1_024_000);
    assert.equal(restartMs(large) - restartMs(none), 2_048_000);
  });
});
