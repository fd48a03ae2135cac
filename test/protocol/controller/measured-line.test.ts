import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measuredLine } from '../../../src/protocol/controller/measured-line.ts';

test('a measured line names one to three hosts, and no invalid line', () => {
  const line = { bytesPerS: 12_500_000, roundTripMs: 50.5, by: ['a', 'b', 'c'] };
  assert.deepEqual(measuredLine.parse(line), line);
  for (const wrong of [
    { by: [] },
    { by: ['a', 'b', 'c', 'd'] },
    { by: ['a b'] },
    { bytesPerS: -1 },
    { roundTripMs: -1 },
  ]) {
    assert.equal(measuredLine.safeParse({ ...line, ...wrong }).success, false);
  }
});
