import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { noKerberos, noNtlm, untrusted } from '../../../../src/drivers/hyperv/wsman/refusals.ts';

describe('refused WinRM servers', () => {
  test('a refused server is reported with its offer, shortened, and the other way in', () => {
    const alone = noNtlm('hv1:5986', 'u', `Negotiate${'x'.repeat(5000)}`);
    assert.ok(alone.message.length < 500);
    assert.match(alone.hint, /`auth` to `kerberos`/);
    const none = noKerberos('hv1:5986', 'u@E', 401, '');
    assert.match(none.message, /HTTP 401, nothing offered/);
    assert.match(none.hint, /`auth` to `ntlm`/);
  });

  test('a wrong certificate is distinguished from a broken connection', () => {
    const broken = new Error('ECONNRESET');
    assert.equal(untrusted('hv1:5986', broken), broken);
    for (const error of [
      new Error('its certificate has the SHA-256 a, not b'),
      Object.assign(new Error('x'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }),
    ]) {
      assert.equal(Reflect.get(untrusted('hv1:5986', error), 'code'), 'GODWIT_PEER_UNTRUSTED');
    }
  });
});
