import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RecentRate } from '../../../src/migration/steering/recent-rate.ts';
import { steer } from '../../../src/migration/steering/steering.ts';
import { afterRound } from '../../../src/migration/steering/trace.ts';
import { STEERING_MEASURES, STRATEGIES } from '../../../src/protocol/public/steering.ts';
import { sampleOf } from '../direct/samples.ts';
import { LINK } from './simulated.ts';

const MiB = 1024 * 1024;

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

describe('the recent link rate', () => {
  test("the link's recent rate is unknown before two seconds have been seen", () => {
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

  test('the recent rate is between the lowest and the highest of the last seconds, whatever came before', () => {
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

  test('the recent rate follows a slower link within three seconds, even in the middle of a round', () => {
    const fast = Array.from({ length: 1000 }, () => [100, 100_000_000] as const);
    const slow = Array.from({ length: 30 }, () => [100, 10_000_000] as const);
    assert.equal(looks([...fast, ...slow]).bytesPerS, 100_000_000);
  });

  test('the recent rate restarts with a restarted stream', () => {
    const recent = looks([
      [100, 10],
      [5000, 1000],
    ]);
    recent.saw(sampleOf({ totalMs: 50, transferredBytes: 0 }));
    assert.equal(recent.bytesPerS, undefined);
  });
});

describe('compressed streams', () => {
  const seen = (contents: readonly (number | undefined)[]): RecentRate => {
    const recent = new RecentRate();
    contents.forEach((contentBytes, at) => {
      recent.saw(sampleOf({ totalMs: at * 1000, transferredBytes: at * 100, contentBytes }));
    });
    return recent;
  };

  test('a compressed byte counts for as much memory as was recently sent by it', () => {
    assert.equal(seen([0, 250, 500, 750]).packing, 2.5);
    // The first pages shrank, and those that are sent now do not.
    assert.equal(seen([0, 1000, 1100, 1200]).packing, 1);
  });

  test('a byte counts as itself if nothing is compressed, or the sent pages are not counted', () => {
    // Beside its pages a stream has headers.
    assert.equal(seen([0, 98, 196]).packing, 1);
    assert.equal(seen([undefined, undefined]).packing, 1);
    assert.equal(seen([]).packing, 1);
  });
});

test("a guest that writes more than the link's rate, but less than its compressed memory, does not outpace it", () => {
  const rates = { transferredBytes: 0, rate: LINK, dirtyRate: 1.5 * LINK };
  const sample = sampleOf({ ...rates, round: 3, remainingBytes: 200 * MiB });
  const trace = afterRound(undefined, sample);
  const settings = { mode: 'precopy', maxDowntimeMs: 100 } as const;
  const view = { sample, trace, levers: STEERING_MEASURES, settings, leftMs: 600_000 };
  assert.equal(steer(STRATEGIES['no-postcopy'], view)?.rule, 'outpaced');
  assert.equal(steer(STRATEGIES['no-postcopy'], { ...view, packing: 2.5 }), undefined);
  // Post-copy is not compressed, and begins as early as without.
  const late = { ...view, settings: { ...settings, mode: 'hybrid' as const }, leftMs: 7900 };
  for (const packing of [1, 2.5])
    assert.equal(steer(STRATEGIES.budget, { ...late, packing })?.rule, 'time-left');
});
