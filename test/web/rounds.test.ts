import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sentInRounds } from '../../web/src/moves/rounds.ts';

const rounds = (...all: readonly [round: number, transferredBytes: number][]) =>
  all.map(([round, transferredBytes]) => ({ round, transferredBytes }));

test('the bytes of a round are known only if the round before it was reported', () => {
  assert.deepEqual(sentInRounds(rounds([1, 100], [2, 140], [3, 150])), [100, 40, 10]);
  assert.deepEqual(sentInRounds(rounds([2, 140], [3, 150], [6, 400])), [null, 10, null]);
  assert.deepEqual(sentInRounds([]), []);
});
