import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mode, streamMode, streamModeOf } from '../../../../src/protocol/public/hosts/mode.ts';

test('a cold move configures its stream as pre-copy does, and every other mode as itself', () => {
  for (const one of streamMode.options) assert.equal(streamModeOf(one), one);
  assert.equal(streamModeOf('cold'), 'precopy');
  assert.deepEqual(mode.options, [...streamMode.options, 'cold']);
});
