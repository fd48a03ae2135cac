import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { asKept, shareOfLink, withShare } from '../../../src/migration/prediction/link-share.ts';

const rate = fc.integer({ min: 1024, max: 2 ** 40 });
const share = fc.double({ min: 0.01, max: 1, noNaN: true });

test("a share of a link never exceeds the link's rate, and grows with both", () => {
  fc.assert(
    fc.property(share, share, rate, rate, (one, other, link, otherLink) => {
      const [less, more] = [Math.min(one, other), Math.max(one, other)];
      const [thin, fat] = [Math.min(link, otherLink), Math.max(link, otherLink)];
      assert.ok(shareOfLink(less, thin) <= shareOfLink(more, fat));
      assert.ok(shareOfLink(less, thin) <= thin);
      assert.ok(Number.isInteger(shareOfLink(less, thin)));
    }),
  );
});

test('the lower of a share and a cap counts, and without a share the cap is unchanged', () => {
  fc.assert(
    fc.property(rate, fc.option(rate, { nil: undefined }), (bytesPerS, maxBandwidth) => {
      const settings = maxBandwidth === undefined ? {} : { maxBandwidth };
      const most = Math.min(maxBandwidth ?? Infinity, bytesPerS);
      assert.deepEqual(withShare(settings, bytesPerS), { maxBandwidth: most });
      assert.equal(withShare(settings, undefined), settings);
    }),
  );
});

test('one plain stream sends its cap rounded up to 1.25 MiB/s, as moves under low caps did; others keep to it', () => {
  const kept = (maxBandwidth: number, memoryPath: 'plain' | 'cold' | 'packed' = 'plain') =>
    asKept({ maxBandwidth }, { memoryPath }).maxBandwidth;
  const MIB = 1024 ** 2;
  const [least, low, more] = [65_536, 1_500_000, 6_000_000].map((cap) => kept(cap));
  assert.deepEqual([least, low, more], [1.25 * MIB, 2.5 * MIB, 6.25 * MIB]);
  for (const path of ['cold', 'packed'] as const) assert.equal(kept(65_536, path), 65_536);
  assert.deepEqual(asKept({}, { memoryPath: 'plain' }), {});
  const content = { memoryPath: 'plain', rounds: 'content' } as const;
  assert.equal(asKept({ maxBandwidth: 65_536 }, content).maxBandwidth, 65_536);
});
