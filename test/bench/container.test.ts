import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerMeasures, type MoveResult } from '../../bench/container.ts';
import { judge } from '../../bench/contract.ts';

const there = (totalMs: number, clientGapMs: number, bytes: number): MoveResult => {
  return { totalMs, clientGapMs, bytes, writtenBytes: 0, way: 'there' };
};
const back = (totalMs: number, clientGapMs: number, bytes: number): MoveResult => {
  return { ...there(totalMs, clientGapMs, bytes), way: 'back' };
};

/** It counts in none of the other figures. */
const first = (bytes: number): MoveResult => ({ ...there(1, 1, bytes), way: 'first' });

test('a container’s move is held against the better one by hand, in each figure by itself', () => {
  const judged = containerMeasures('small', {
    pages: [first(1000), there(1000, 4000, 1000), back(1000, 4000, 1000)],
    copy: [first(2000), there(2000, 2000, 2000), back(2000, 2000, 2000)],
    godwit: [first(501), there(900, 1001, 50), back(900, 1001, 51)],
  }).map(judge);
  const ratios = judged.slice(0, 4);
  assert.deepEqual(
    ratios.map(({ value, ok }) => [value, ok]),
    [
      [0.9, true],
      [0.5005, false],
      [0.051, false],
      [0.501, false],
    ],
  );
});
