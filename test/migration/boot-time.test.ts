import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootTime } from '../../src/system/processes/process.ts';
import { passedMs } from '../../src/migration/boot-time.ts';

test('the time between two moments is known within one boot, and unknown across boots', () => {
  assert.equal(passedMs({ bootId: 'one', uptimeMs: 5 }, { bootId: 'one', uptimeMs: 9 }), 4);
  assert.equal(passedMs({ bootId: 'one', uptimeMs: 5 }, { bootId: 'two', uptimeMs: 9 }), undefined);
});

test("the kernel's time counts from its start", () => {
  const before = bootTime();
  const passed = passedMs(before, bootTime());
  assert.ok(before.uptimeMs > 0 && passed !== undefined && passed >= 0);
});
