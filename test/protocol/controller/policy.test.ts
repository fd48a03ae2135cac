import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policySettings } from '../../../src/protocol/controller/policy.ts';

test('a mode alone makes a whole policy, and nothing is automatic unless requested', () => {
  const settings = policySettings.parse({ mode: 'propose' });
  assert.deepEqual([settings.level, settings.movesPerHour, settings.hosts], [3, 60, undefined]);
  assert.ok(!policySettings.safeParse({}).success);
  assert.ok(!policySettings.safeParse({ mode: 'auto' }).success);
});

test('an unknown setting is refused', () => {
  assert.ok(!policySettings.safeParse({ mode: 'off', levels: 3 }).success);
  assert.ok(!policySettings.safeParse({ mode: 'propose', level: 6 }).success);
});
