import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loginError } from '../../../../../src/drivers/hyperv/wsman/kerberos/failures.ts';
import type { LoginFailure } from '../../../../../src/drivers/hyperv/wsman/kerberos/messages.ts';

const place = { user: 'u@EXAMPLE.COM', service: 'HTTP/hv1', address: 'hv1:5986' };

function errorOf(number: number, stage: LoginFailure['stage'] = 'ticket', words = 'said') {
  return loginError({ stage, number, words }, place);
}

describe('failed Kerberos logins', () => {
  test("a failed login is reported by the realm's reason, with the fix and the library's message", () => {
    const cases: readonly (readonly [number, RegExp, RegExp])[] = [
      [6, /does not know u@EXAMPLE\.COM/, /DNS name/],
      [7, /does not know the service HTTP\/hv1/, /setspn -S HTTP\/hv1/],
      [18, /locked or disabled/, /Unlock/],
      [23, /has expired/, /new one/],
      [24, /the password is not that of/, /password file/],
      [31, /the password is not that of/, /password file/],
      [32, /the ticket has expired/, /5 minutes/],
      [37, /clocks are more than 5 minutes apart/, /one source/],
    ];
    for (const [number, message, hint] of cases) {
      const error = errorOf(number);
      assert.equal(error.code, 'GODWIT_MANAGER_DENIED');
      assert.match(error.message, message);
      assert.match(error.message, /“said”/);
      assert.match(error.hint, hint);
    }
  });

  test('a silent KDC is reported as silent, and that is not a refusal', () => {
    for (const number of [154, 156, 220]) {
      const error = errorOf(number);
      assert.equal(error.code, 'GODWIT_UNREACHABLE');
      assert.match(error.message, /the KDC at EXAMPLE\.COM does not answer: said/);
      assert.match(error.hint, /_kerberos\._tcp\.example\.com/);
    }
  });

  test('a server that cannot read its ticket is not a matter of the password', () => {
    const error = errorOf(31, 'context');
    assert.match(error.message, /does not take the ticket/);
    assert.match(error.hint, /setspn -Q HTTP\/hv1/);
  });

  test('a missing library is reported with its package, and an unknown failure is shown whole', () => {
    assert.match(errorOf(0, 'library').hint, /libgssapi-krb5-2/);
    assert.match(errorOf(99, 'service').message, /the realm gives no ticket \(“said”\)/);
    assert.doesNotMatch(errorOf(0, 'context', '').message, /“/);
  });
});
