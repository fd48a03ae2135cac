import assert from 'node:assert/strict';
import { test } from 'node:test';
import { staying } from './remains.ts';

test('one process of a host that has checked may wait for the next question, and a second one is a leftover', () => {
  const agent = 'node agent.ts';
  assert.deepEqual(staying([agent, 'ip', 'node checker.ts', 'cat']), [agent]);
  assert.deepEqual(staying([agent, 'node checker.ts', 'node checker.ts']), [
    agent,
    'node checker.ts',
  ]);
  assert.deepEqual(staying([agent, 'node mover.ts']), [agent, 'node mover.ts']);
});
