import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  boundedDecisions,
  cappedWords,
  decisionOf,
} from '../../../src/migration/report/decision.ts';

test('a decision has its known facts and no others', () => {
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

test('a cap by the time of day is reported with its host', () => {
  assert.equal(cappedWords(131_072, 'a'), 'bandwidth: at most 128 KiB/s by the time of day of a');
  assert.equal(cappedWords(0), 'bandwidth: no cap by the time of day of its host');
});

test('a long list keeps the first and the last decisions, and the number omitted between them', () => {
  const all = Array.from({ length: 1700 }, (_none, atMs) => ({ atMs, what: `decision ${atMs}` }));
  const kept = boundedDecisions(all);
  assert.equal(kept.length, 1000);
  assert.deepEqual(kept.slice(0, 500), all.slice(0, 500));
  assert.deepEqual(kept[500], { atMs: 500, what: '701 decisions are left out here' });
  assert.deepEqual(kept.slice(501), all.slice(-499));
  assert.deepEqual(boundedDecisions(all.slice(0, 1000)), all.slice(0, 1000));
});
