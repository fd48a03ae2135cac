import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isPossibleUse } from '../../src/planner/processor-use-bounds.ts';

test('a guest uses no more than twice its processors and a thread, nor more than its host has', () => {
  assert.equal(isPossibleUse(9, { vcpus: 4, hostCores: 64 }), true);
  assert.equal(isPossibleUse(9.1, { vcpus: 4, hostCores: 64 }), false);
  // Two processes measured the time that a sample is over.
  assert.equal(isPossibleUse(9, { hostCores: 8 }), true);
  assert.equal(isPossibleUse(12, { hostCores: 8 }), false);
  assert.equal(isPossibleUse(12, { vcpus: 0, hostCores: 64 }), true);
});

test('a value that is not a number, or is negative, is never possible', () => {
  fc.assert(
    fc.property(fc.double(), fc.nat(256), fc.integer({ min: 1, max: 512 }), (cores, vcpus, has) => {
      const could = isPossibleUse(cores, { vcpus, hostCores: has });
      if (!(cores >= 0) || cores === Infinity) assert.equal(could, false);
      if (could) assert.ok(cores <= has * 2);
    }),
  );
});
