import assert from 'node:assert/strict';
import { test } from 'node:test';
import { learned } from '../../src/planner/link-factors.ts';
import { problemOf } from '../../src/planner/timetable.ts';

const links = {
  bytesPerSecond: (host: string) => (host === 'b' ? 50 : 100),
  parallel: 4,
  out: 4,
  in: 4,
};
const one = [{ from: 'a', to: 'b', memoryBytes: 1000, dirtyBytesPerSecond: 0 }];
const seen = (bytesPerSecond: number, linkFactors = {}) =>
  learned(
    problemOf(one, links, linkFactors),
    {
      hosts: ['a'],
      linkFactors,
      running: [{ guest: 'g', to: 'b', elapsedSeconds: 9, bytesPerSecond }],
    },
    () => 'g',
  );

test('a full link carries the rate measured over it; one that is not full shows nothing', () => {
  const factors = seen(40);
  assert.deepEqual(Object.keys(factors), ['b, in']);
  assert.ok(Math.abs((factors['b, in'] ?? 0) - 0.96) < 1e-9);
});

test('the estimate converges with each look, and stays within bounds', () => {
  let factors = seen(25);
  for (let look = 0; look < 40; look += 1) factors = seen(25, factors);
  assert.ok(Math.abs((factors['b, in'] ?? 0) - 0.5) < 0.01);
  for (let look = 0; look < 40; look += 1) factors = seen(1e-3, factors);
  assert.ok((factors['b, in'] ?? 0) >= 0.2);
});

test('a move that has not begun to transfer shows nothing', () => {
  assert.deepEqual(seen(0), {});
});
