import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdleCollection } from '../../src/agent/idle-collection.ts';

test('garbage is collected once the agent has worked and is quiet again, and not while it works or has done nothing', () => {
  let [usedMs, collected] = [0, 0];
  const idleCollection = new IdleCollection({
    usedMs: () => usedMs,
    collect: () => void (collected += 1),
  });
  const after = (workMs: number): number => {
    usedMs += workMs;
    idleCollection.look();
    return collected;
  };
  const work: readonly (readonly [ms: number, collections: number, what: string])[] = [
    [1200, 1, 'its start is over'],
    [100, 1, 'it has done next to nothing'],
    [20_000, 1, 'it works'],
    [15_000, 1, 'it still works'],
    [50, 2, 'it is quiet again'],
    [50, 2, 'it has done nothing since'],
    [400, 2, 'little by little'],
    [600, 3, 'it has come to a second'],
  ];
  for (const [ms, collections, what] of work) assert.equal(after(ms), collections, what);
});
