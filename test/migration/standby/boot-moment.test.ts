import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootMoment } from '../../../src/system/processes/process.ts';
import { passedMs } from '../../../src/migration/standby/boot-moment.ts';

test('time passes between moments of one boot, and is unknown between moments of two', () => {
  assert.equal(passedMs({ bootId: 'one', ms: 5 }, { bootId: 'one', ms: 9 }), 4);
  assert.equal(passedMs({ bootId: 'one', ms: 5 }, { bootId: 'two', ms: 9 }), undefined);
});

test('the kernel counts since its start', () => {
  const before = bootMoment();
  const passed = passedMs(before, bootMoment());
  assert.ok(before.ms > 0 && passed !== undefined && passed >= 0);
});
