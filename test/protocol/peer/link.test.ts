import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkAnswer, linkQuestion, MAX_PAD } from '../../../src/protocol/peer/link.ts';

test('a measuring request is bounded, and an answer may postpone it', () => {
  assert.ok(linkQuestion.safeParse({ pad: 'x'.repeat(MAX_PAD) }).success);
  assert.ok(!linkQuestion.safeParse({ pad: 'x'.repeat(MAX_PAD + 1) }).success);
  assert.deepEqual(linkAnswer.parse({}), {});
  assert.ok(!linkAnswer.safeParse({ busy: 'x'.repeat(5000) }).success);
});
