import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestLoad, MAX_LOAD_HOURS } from '../../../../src/protocol/public/hosts/guest-load.ts';

const hour = { from: '2026-03-01T10:00:00.000Z', overMs: 3_600_000, cores: 0.5 };

test("a guest's load may omit everything except its hours, at most a week of them", () => {
  assert.deepEqual(guestLoad.parse({ hours: [] }), { hours: [] });
  const week = Array.from({ length: MAX_LOAD_HOURS }, () => hour);
  assert.equal(guestLoad.safeParse({ hours: week }).success, true);
  assert.equal(guestLoad.safeParse({ hours: [...week, hour] }).success, false);
});

test("no figure of a guest's load is negative", () => {
  for (const wrong of [{ cores: -1 }, { inBytesPerS: -1 }, { overMs: -1 }])
    assert.equal(guestLoad.safeParse({ hours: [{ ...hour, ...wrong }] }).success, false);
});
