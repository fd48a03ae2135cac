import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tokenName, tokenRoutes } from '../../../src/protocol/controller/tokens.ts';

test('a token is for a name that fits into a path and a table', () => {
  for (const name of ['ann', 'ann@example.org', 'prometheus_1'])
    assert.ok(tokenName.safeParse(name).success, name);
  for (const name of ['', '-ann', 'a/b', 'a b', 'a\n', 'x'.repeat(64)])
    assert.equal(tokenName.safeParse(name).success, false, name);
});

test('a token expires after at least a second and at most ten years, or never', () => {
  const { body } = tokenRoutes.createToken;
  const takes = (expiresInMs?: number) =>
    body.safeParse({ name: 'ann', role: 'viewer', expiresInMs }).success;
  assert.deepEqual([takes(), takes(1000), takes(999), takes(1e15)], [true, true, false, false]);
});
