import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterHeartbeat, afterKernelLook } from '../../../src/migration/standby/source-sight.ts';

test('a host has answered without a break since its first answer after the last unanswered look', () => {
  const heard = afterHeartbeat({}, 10);
  const answers = afterKernelLook(afterKernelLook(heard, 'answers', 20), 'answers', 30);
  assert.deepEqual(answers, { heardAtMs: 10, answersSinceMs: 10 });
  for (const look of ['silent', 'unknown'] as const) {
    const none = afterKernelLook(answers, look, 40);
    assert.deepEqual(none, { heardAtMs: 10 });
    assert.deepEqual(afterKernelLook(none, 'answers', 50), { heardAtMs: 10, answersSinceMs: 50 });
    assert.deepEqual(afterHeartbeat(none, 60), { heardAtMs: 60, answersSinceMs: 60 });
  }
  assert.deepEqual(afterKernelLook({}, 'silent', 5), {});
});
