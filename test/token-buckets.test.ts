import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { TokenBuckets } from '../src/token-buckets.ts';

function scene(limit: Partial<ConstructorParameters<typeof TokenBuckets>[0]> = {}) {
  const world = { nowMs: 0 };
  const all = { burst: 3, everyMs: 1000, maxKeys: 4, ...limit };
  return { world, buckets: new TokenBuckets(all, () => world.nowMs) };
}

describe('token buckets', () => {
  test('a key has its burst at once and one token after each pause', () => {
    const { world, buckets } = scene();
    for (let count = 0; count < 3; count += 1) assert.ok(buckets.take('a'));
    assert.equal(buckets.take('a'), false);
    assert.ok(buckets.take('b'), 'another key has its own');
    world.nowMs = 999;
    assert.equal(buckets.take('a'), false);
    world.nowMs = 1000;
    assert.ok(buckets.take('a'));
    assert.equal(buckets.take('a'), false);
    world.nowMs = 60_000;
    assert.ok(buckets.take('a', 3));
    assert.equal(buckets.take('a'), false, 'no more than the burst is saved up');
  });

  test('a refused take costs nothing, and the wait is the time until it succeeds', () => {
    const { world, buckets } = scene();
    assert.equal(buckets.waitMs('a', 3), 0);
    buckets.take('a', 2);
    for (let count = 0; count < 10; count += 1) assert.equal(buckets.take('a', 3), false);
    assert.equal(buckets.waitMs('a', 1), 0);
    assert.equal(buckets.waitMs('a', 3), 2000);
    world.nowMs = 500;
    assert.equal(buckets.waitMs('a', 3), 1500);
    world.nowMs = 2000;
    assert.ok(buckets.take('a', 3));
  });

  test('a token that is given back can be taken again, and a full bucket is forgotten', () => {
    const { buckets } = scene();
    buckets.take('a', 3);
    buckets.giveBack('a');
    assert.ok(buckets.take('a'));
    assert.equal(buckets.take('a'), false);
    for (let count = 0; count < 5; count += 1) buckets.giveBack('a');
    assert.equal(buckets.size, 0);
    assert.equal(buckets.take('a', 4), false, 'no more than the burst comes back');
  });

  test('keys are bounded, and the key that changed longest ago is forgotten first', () => {
    const { buckets } = scene();
    for (const key of ['a', 'b', 'c', 'd']) buckets.take(key, 2);
    buckets.take('a');
    buckets.take('e');
    assert.equal(buckets.size, 4);
    assert.equal(buckets.take('a'), false, 'the busiest key is remembered');
    assert.ok(buckets.take('b', 3), 'the idle key was forgotten');
  });

  test('in any span a key takes no more than the burst and the tokens of that span', () => {
    const step = fc.record({ waitMs: fc.nat(3000), count: fc.integer({ min: 1, max: 5 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { world, buckets } = scene();
        const taken: { readonly atMs: number; readonly count: number }[] = [];
        for (const { waitMs, count } of steps) {
          world.nowMs += waitMs;
          const pauseMs = buckets.waitMs('a', count);
          const isTaken = buckets.take('a', count);
          assert.equal(isTaken, pauseMs === 0);
          if (isTaken) taken.push({ atMs: world.nowMs, count });
          for (const [first, { atMs }] of taken.entries()) {
            const sum = taken.slice(first).reduce((total, each) => total + each.count, 0);
            assert.ok(sum <= 3 + (world.nowMs - atMs) / 1000 + 1e-9);
          }
        }
      }),
    );
  });
});
