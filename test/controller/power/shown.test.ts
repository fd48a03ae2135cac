import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WAKE_MS, withPower } from '../../../src/controller/power/shown.ts';
import type { PowerState } from '../../../src/controller/requests/facts.ts';

const NOW = Date.parse('2026-11-25T10:00:00Z');
const silent = { state: 'silent', since: NOW - 5, reason: 'no answer' };
const powerOf = (state: PowerState, ageMs: number) => ({
  power: new Map([['a', { state, sinceMs: NOW - ageMs }]]),
  nowMs: NOW,
  wakeMs: WAKE_MS,
});

test('a host that was put to sleep is asleep since then, under any follower, until it answers', () => {
  for (const state of ['silent', 'unfollowed', 'new']) {
    const shown = withPower('a', { ...silent, state }, powerOf('asleep', 9e8));
    assert.equal(shown.state, 'asleep');
    assert.equal(shown.since, NOW - 9e8);
    assert.match(shown.reason ?? '', /put to sleep/);
  }
  for (const state of ['up', 'untrusted', 'incompatible']) {
    const host = { ...silent, state };
    assert.equal(withPower('a', host, powerOf('asleep', 9e8)), host);
  }
  assert.equal(withPower('b', silent, powerOf('asleep', 9e8)), silent);
});

test('a host being woken is asleep for the wake-up time; then it is silent, with the expected time', () => {
  const waking = withPower('a', silent, powerOf('waking', WAKE_MS));
  assert.deepEqual([waking.state, waking.reason], ['asleep', 'it is being woken']);
  const late = withPower('a', silent, powerOf('waking', WAKE_MS + 1));
  assert.deepEqual([late.state, late.since], ['silent', NOW - 5]);
  assert.match(late.reason ?? '', /asked to wake at 2026-11-25T09:49:59/);
  const unknown = { ...silent, state: 'unfollowed' };
  assert.equal(withPower('a', unknown, powerOf('waking', WAKE_MS + 1)), unknown);
});
