import assert from 'node:assert/strict';
import { test } from 'node:test';
import { windowFor } from '../../../../src/disks/copy/tunnel/window.ts';

test('a long link is filled, and a slow one gets no long queue', () => {
  const gbit = windowFor({ bytesPerS: 125e6, roundTripMs: 100 });
  assert.ok(gbit >= 125e6 * 0.1);
  const slow = windowFor({ bytesPerS: 1e6, roundTripMs: 10 });
  assert.ok(slow <= 1e6 * 0.3);
});

test('an unknown link gets some window, and none grows without a limit', () => {
  assert.ok(windowFor({ bytesPerS: 0, roundTripMs: 0 }) >= 64 * 1024);
  assert.ok(windowFor({ bytesPerS: 1e12, roundTripMs: 1000 }) <= 64 * 1024 * 1024);
});
