import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHANNELS, laneOf } from '../../src/links/session.ts';

test("a channel's number identifies its lane, and no other number is a channel", () => {
  assert.deepEqual(
    [0, 15, 16, 31, 32, CHANNELS - 1].map((channel) => laneOf(channel)),
    [0, 0, 1, 1, 2, 2],
  );
  for (const channel of [-1, 0.5, CHANNELS, Number.NaN]) {
    assert.throws(() => laneOf(channel), RangeError);
  }
});
