import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planAnswer, planRequest } from '../../../src/protocol/public/plan.ts';

test('a plan has the fields of a migration with one destination', () => {
  const asked = planRequest.parse({ guest: 'web1', to: 'b', compare: true });
  assert.equal(asked.maxDowntimeMs, 100);
  assert.ok(!planRequest.safeParse({ guest: 'web1' }).success);
});

test('a plan may lack everything except its checks', () => {
  const host = { to: 'b', verdict: 'refuse', checks: [] };
  const answer = { guest: 'web1', from: 'a', host, advice: [] };
  assert.deepEqual(planAnswer.parse(answer), answer);
});
