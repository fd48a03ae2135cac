import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { guestMeasure, linkMeasure, pageMix } from '../../../src/protocol/public/prediction.ts';

describe('prediction inputs', () => {
  test('prediction inputs accept shares of a whole and valid amounts only', () => {
    const mix = { zero: 0.5, duplicate: 0.25, packed: 0.4 };
    assert.deepEqual(pageMix.parse(mix), mix);
    for (const bad of [
      { ...mix, zero: 1.1 },
      { ...mix, packed: -0.1 },
      { ...mix, packed: NaN },
    ])
      assert.equal(pageMix.safeParse(bad).success, false);
    const measure = { how: 'pages', memoryBytes: 1024, pages: 4, curve: [], mix };
    assert.ok(guestMeasure.safeParse(measure).success);
    assert.ok(!guestMeasure.safeParse({ ...measure, how: 'guessed' }).success);
    assert.ok(!linkMeasure.safeParse({ rate: -1, how: 'measured' }).success);
  });
});
