import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestLoad, MAX_LOAD_HOURS } from '../../../../src/protocol/public/hosts/guest-load.ts';

const hour = { from: '2026-03-01T10:00:00.000Z', overMs: 3_600_000, cores: 0.5 };

test('how busy a guest is may leave out all but its hours, of which there is a week at most', () => {
  assert.deepEqual(guestLoad.parse({ hours: [] }), { hours: [] });
  const week = Array.from({ length: MAX_LOAD_HOURS }, () => hour);
  assert.equal(guestLoad.safeParse({ hours: week }).success, true);
  assert.equal(guestLoad.safeParse({ hours: [...week, hour] }).success, false);
});

test('no figure of a guest’s load is below nothing', () => {
  for (const wrong of [{ cores: -1 }, { inBytesPerS: -1 }, { overMs: -1 }])
    assert.equal(guestLoad.safeParse({ hours: [{ ...hour, ...wrong }] }).success, false);
});
