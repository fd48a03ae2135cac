import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RecentRate } from '../../../src/migration/steering/recent-rate.ts';
import { sampleOf } from '../direct/samples.ts';

const looks = (course: readonly (readonly [ms: number, bytes: number])[]): RecentRate => {
  const recent = new RecentRate();
  let [totalMs, transferredBytes] = [0, 0];
  for (const [ms, bytes] of course) {
    totalMs += ms;
    transferredBytes += bytes;
    recent.saw(sampleOf({ totalMs, transferredBytes }));
  }
  return recent;
};

describe('what the link carried of late', () => {
  test('is not known before two seconds have been seen', () => {
    assert.equal(looks([]).bytesPerS, undefined);
    assert.equal(
      looks([
        [100, 10],
        [1900, 10],
      ]).bytesPerS,
      undefined,
    );
    assert.equal(
      looks([
        [100, 10],
        [2000, 30],
      ]).bytesPerS,
      15,
    );
  });

  test('lies between the least and the most of the looks of the last seconds, whatever was before', () => {
    const look = fc.tuple(fc.integer({ min: 100, max: 1000 }), fc.nat(1 << 30));
    fc.assert(
      fc.property(
        fc.array(look),
        fc.array(look, { minLength: 30, maxLength: 40 }),
        (early, late) => {
          const rates = late.map(([ms, bytes]) => (bytes * 1000) / ms);
          const found = looks([...early, ...late]).bytesPerS ?? NaN;
          assert.ok(found >= Math.min(...rates) - 1e-6 && found <= Math.max(...rates) + 1e-6);
        },
      ),
    );
  });

  test('sees within three seconds that the link has become slower, also in the middle of a round', () => {
    const fast = Array.from({ length: 1000 }, () => [100, 100_000_000] as const);
    const slow = Array.from({ length: 30 }, () => [100, 10_000_000] as const);
    assert.equal(looks([...fast, ...slow]).bytesPerS, 100_000_000);
  });

  test('begins anew with a stream that does', () => {
    const recent = looks([
      [100, 10],
      [5000, 1000],
    ]);
    recent.saw(sampleOf({ totalMs: 50, transferredBytes: 0 }));
    assert.equal(recent.bytesPerS, undefined);
  });
});
