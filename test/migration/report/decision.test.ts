import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decisionOf } from '../../../src/migration/report/decision.ts';

test('a decision has what is known of it, and nothing that is not', () => {
  assert.deepEqual(decisionOf({ what: 'postcopy', why: 'round 2' }, 7), {
    atMs: 7,
    what: 'post-copy: round 2',
  });
  const change = { of: 'downtimeMs', from: 25, to: 100 } as const;
  const whole = { rule: 'stalled', change, hint: 'Use more.' } as const;
  assert.deepEqual(decisionOf({ what: 'downtime', why: '25 ms to 100 ms', ...whole }, 9), {
    atMs: 9,
    what: 'downtime: 25 ms to 100 ms',
    ...whole,
  });
});
