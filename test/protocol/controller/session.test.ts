import assert from 'node:assert/strict';
import { test } from 'node:test';
import { session, sessionRoutes, token } from '../../../src/protocol/controller/session.ts';

test('a token is gdw_ and 32 bytes in base64url, and nothing longer or shorter', () => {
  const body = 'A'.repeat(43);
  assert.ok(token.safeParse(`gdw_${body}`).success);
  for (const wrong of [`gds_${body}`, `gdw_${body}A`, `gdw_${body.slice(1)}`, `gdw_${body}\n`])
    assert.equal(token.safeParse(wrong).success, false, wrong);
});

test('a session never has the role of a host', () => {
  const of = (role: string) => ({ name: 'ann', role, methods: { token: true } });
  assert.ok(session.safeParse(of('operator')).success);
  for (const role of ['agent', 'controller', 'local'])
    assert.ok(!session.safeParse(of(role)).success);
});

test('the input for a sign-in is bounded', () => {
  const { body } = sessionRoutes.signIn;
  assert.equal(body.safeParse({ token: 'x'.repeat(257) }).success, false);
});
