import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdleCollection } from '../../../src/agent/host/idle-collection.ts';

test('garbage is collected once the agent has worked, has grown and is idle again, and at no other time', () => {
  let [usedMs, residentBytes, collected] = [0, 100e6, 0];
  const idleCollection = new IdleCollection({
    usedMs: () => usedMs,
    residentBytes: () => residentBytes,
    collect: () => {
      collected += 1;
      residentBytes = 95e6;
    },
  });
  const after = (workMs: number, grownBytes: number): number => {
    usedMs += workMs;
    residentBytes += grownBytes;
    idleCollection.look();
    return collected;
  };
  const work: readonly (readonly [ms: number, bytes: number, collections: number, what: string])[] =
    [
      [1200, 0, 1, 'its start is over'],
      [100, 6e6, 1, 'it has done next to nothing'],
      [20_000, 0, 1, 'it works'],
      [15_000, 0, 1, 'it still works'],
      [50, 0, 2, 'it is quiet again'],
      [50, 6e6, 2, 'it has done nothing since'],
      [400, 0, 2, 'little by little'],
      [600, 0, 3, 'it has come to a second'],
      [1200, 3e6, 3, 'it has not grown enough'],
      [0, 1e6, 4, 'it has'],
    ];
  for (const [ms, bytes, collections, what] of work)
    assert.equal(after(ms, bytes), collections, what);
});
