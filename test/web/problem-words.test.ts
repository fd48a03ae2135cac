import assert from 'node:assert/strict';
import { test } from 'node:test';
import { personWords, sentence } from '../../web/src/base/problem-words.ts';

test('a name at the beginning of a message is not capitalized', () => {
  assert.equal(sentence('web1 is on several hosts'), 'web1 is on several hosts.');
  assert.equal(sentence('node-a: it does not answer'), 'node-a: it does not answer.');
  assert.equal(sentence('the-db is stopped'), 'the-db is stopped.');
  assert.equal(sentence('the database does not answer'), 'The database does not answer.');
  assert.equal(sentence('too late!'), 'Too late!');
  assert.equal(sentence(''), '.');
});

test('a user never sees a route of the API', () => {
  const words = (code: string, message: string) =>
    personWords({ code, message, hint: 'Use a certificate.' });
  const forbidden = words(
    'GODWIT_ROLE_FORBIDDEN',
    'ann has the role viewer; GET /v1/audit requires the role admin',
  );
  assert.equal(
    forbidden.message,
    'ann has the role viewer; this page or action requires the role admin',
  );
  assert.doesNotMatch(forbidden.hint, /certificate/);
  assert.doesNotMatch(words('GODWIT_ROUTE_UNKNOWN', 'there is no PUT /v1/x').message, /\/v1/);
  const other = words('GODWIT_USAGE', 'POST /v1/plans: to is missing; see /v1/plans');
  assert.equal(other.message, 'the request: to is missing; see the request');
  assert.equal(other.hint, 'Use a certificate.');
});
