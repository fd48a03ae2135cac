import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { finalMessage, firstMessage, isProved } from '../../../../src/drivers/libvirt/rpc/scram.ts';

/** The example of RFC 7677. */
const SECRET = { user: 'user', password: 'pencil' };
const NONCE = 'rOprNGfwEbeRWgbNEkqO';
const CHALLENGE =
  'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096';
const PROOF =
  'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=';
const LAST = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=';

const answer = (challenge: string) =>
  finalMessage('SCRAM-SHA-256', SECRET, { nonce: NONCE, challenge });

describe('SCRAM', () => {
  test('the exchange matches the example of its RFC', async () => {
    assert.equal(firstMessage(SECRET, NONCE), `n,,n=user,r=${NONCE}`);
    const { message, signature } = await answer(CHALLENGE);
    assert.equal(message, PROOF);
    assert.ok(isProved(LAST, signature));
  });

  test('the exchange matches the example of RFC 5802, by SHA-1', async () => {
    const challenge = 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096';
    const exchange = { nonce: 'fyko+d2lbbFgONRv9qkxdawL', challenge };
    const { message, signature } = await finalMessage('SCRAM-SHA-1', SECRET, exchange);
    assert.match(message, /,p=v0X8v3Bz2T0CJGbJQyF0X\+HI4Ts=$/);
    assert.ok(isProved('v=rmF9pqV8S7suAoZWja4dJRkFsKQ=', signature));
  });

  test('a server that does not know the password, or uses another nonce, is refused', async () => {
    const { signature } = await answer(CHALLENGE);
    for (const said of ['v=', '', 'e=other-error', LAST.replace('6', '7')])
      assert.equal(isProved(said, signature), false, said);
    for (const challenge of ['', `r=${NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`, `x${CHALLENGE}`])
      await assert.rejects(answer(challenge), /its nonce/, challenge);
  });

  test("a server's iteration count has an upper and a lower bound", async () => {
    for (const rounds of ['0', '1', '4095', '1000001', '1e9', '', 'x'])
      await assert.rejects(answer(CHALLENGE.replace('4096', rounds)), /rounds/, rounds);
  });

  test('a name is quoted', () => {
    assert.equal(firstMessage({ user: 'a=b,c' }, 'x'), 'n,,n=a=3Db=2Cc,r=x');
  });
});
