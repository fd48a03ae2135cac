import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RefusedCount } from '../../../../src/planner/sim/history/refused.ts';

test('a constraint counts once per interval, with the text of the first refusal by it', () => {
  const count = new RefusedCount();
  count.look([
    { constraint: 'memory', words: 'g1' },
    { constraint: 'cpu', words: 'g2' },
    { constraint: 'cpu', words: 'g3' },
  ]);
  count.look([{ constraint: 'cpu', words: 'g4' }]);
  count.look([]);
  assert.deepEqual(count.result(), [
    { constraint: 'cpu', looks: 2, words: 'g2' },
    { constraint: 'memory', looks: 1, words: 'g1' },
  ]);
});
