import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootTime } from '../../src/system/processes/process.ts';
import { passedMs } from '../../src/migration/boot-time.ts';

test('time passes between moments of one boot, and is unknown between moments of two', () => {
  assert.equal(passedMs({ bootId: 'one', uptimeMs: 5 }, { bootId: 'one', uptimeMs: 9 }), 4);
  assert.equal(passedMs({ bootId: 'one', uptimeMs: 5 }, { bootId: 'two', uptimeMs: 9 }), undefined);
});

test('the kernel counts since its start', () => {
  const before = bootTime();
  const passed = passedMs(before, bootTime());
  assert.ok(before.uptimeMs > 0 && passed !== undefined && passed >= 0);
});
