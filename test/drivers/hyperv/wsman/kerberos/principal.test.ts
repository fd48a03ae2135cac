import assert from 'node:assert/strict';
import { test } from 'node:test';
import { principalOf } from '../../../../../src/drivers/hyperv/wsman/kerberos/principal.ts';

test('a domain user belongs to the realm in capital letters, and any other name has no realm', () => {
  assert.equal(principalOf('Godwit@example.com'), 'Godwit@EXAMPLE.COM');
  for (const user of [
    'godwit',
    String.raw`EXAMPLE\godwit`,
    'a@b@c',
    'a/b@c',
    '@c',
    'a@',
    'a@c d',
    'a b@c',
  ]) {
    assert.equal(principalOf(user), undefined, user);
  }
});
