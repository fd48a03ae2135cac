import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkAnswer, checkRequest } from '../../../src/protocol/public/check.ts';

test('a check has the fields of a migration, and may leave the destination open', () => {
  const asked = checkRequest.parse({ guest: 'web1' });
  assert.deepEqual([asked.to, asked.mode, asked.streams], [undefined, 'precopy', 1]);
  assert.equal(checkRequest.parse({ guest: 'web1', to: 'b' }).to, 'b');
  assert.equal(checkRequest.safeParse({ guest: '../web1' }).success, false);
  assert.equal(checkRequest.safeParse({ guest: 'web1', streams: 99 }).success, false);
});

test('an answer has a verdict for each host, with every check behind it', () => {
  const check = { name: 'memory', side: 'destination', verdict: 'pass', evidence: 'enough' };
  const answer = {
    guest: 'web1',
    from: 'a',
    hosts: [{ to: 'b', verdict: 'pass', checks: [check] }],
  };
  assert.deepEqual(checkAnswer.parse(answer), answer);
  const wrong = { ...answer, hosts: [{ to: 'b', verdict: 'perhaps', checks: [] }] };
  assert.equal(checkAnswer.safeParse(wrong).success, false);
});
