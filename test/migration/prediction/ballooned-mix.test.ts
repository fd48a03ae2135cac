import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { balloonedMix } from '../../../src/migration/prediction/ballooned-mix.ts';

const MIX = { zero: 0.2, duplicate: 0.1, packed: 0.5 };

describe('pages of a ballooned guest', () => {
  test('ballooned pages become zero pages, as far as they were not zero before', () => {
    // Of 500 unused bytes 200 are zeros already: of 250 that are taken, 150 become zeros.
    const mix = balloonedMix(MIX, { takesBytes: 250, availableBytes: 500 }, 1000);
    assert.deepEqual(mix, { ...MIX, zero: 0.35 });
  });

  test("the share of remaining pages in the destination's cache is unchanged by a balloon", () => {
    const mix = { ...MIX, known: { share: 0.4, pages: 900 } };
    const { known } = balloonedMix(mix, { takesBytes: 250, availableBytes: 500 }, 1000);
    assert.deepEqual(known, { share: (0.4 * 0.65) / 0.8, pages: 900 });
    const zeros = { ...mix, zero: 1, known: { share: 0, pages: 900 } };
    assert.deepEqual(balloonedMix(zeros, { takesBytes: 250, availableBytes: 500 }, 1000), zeros);
  });

  test('the mix of pages is unchanged if the balloon takes nothing, or all unused pages are zeros', () => {
    assert.deepEqual(balloonedMix(MIX, { takesBytes: 0, availableBytes: 500 }, 1000), MIX);
    assert.deepEqual(balloonedMix(MIX, { takesBytes: 90, availableBytes: 100 }, 1000), MIX);
    assert.deepEqual(balloonedMix(MIX, { takesBytes: 0, availableBytes: 0 }, 1000), MIX);
  });

  test('a balloon never lowers the number of zero pages, and raises it the more it takes', () => {
    const bytes = fc.integer({ min: 0, max: 1000 });
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(bytes, bytes, bytes, share, (one, other, availableBytes, zero) => {
        const of = (takesBytes: number) =>
          balloonedMix({ ...MIX, zero }, { takesBytes, availableBytes }, 1000).zero;
        const [less, more] = [of(Math.min(one, other)), of(Math.max(one, other))];
        assert.ok(less >= zero && more >= less && more <= 1);
      }),
    );
  });
});
