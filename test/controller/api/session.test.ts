import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  SIGN_IN_ATTEMPTS,
  sessionHandlers,
  type SessionHandlerDependencies,
} from '../../../src/controller/api/session.ts';
import { GodwitError } from '../../../src/errors.ts';
import { TokenBuckets } from '../../../src/token-buckets.ts';

test('failed sign-ins delay their network, and no other network', async () => {
  let nowMs = 0;
  const handlers = sessionHandlers({
    recognition: { owner: () => Promise.resolve(undefined) },
    attempts: new TokenBuckets(SIGN_IN_ATTEMPTS, () => nowMs),
  } as unknown as SessionHandlerDependencies);
  const signIn = handlers.signIn as unknown as (input: object) => Promise<unknown>;
  const codeOf = async (calledFrom: string): Promise<string> => {
    const asked = { body: { token: 'x' }, calledFrom };
    const thrown = await signIn(asked).catch((error: unknown) => error);
    assert.ok(thrown instanceof GodwitError);
    return thrown.code;
  };
  for (let count = 0; count < 10; count += 1) {
    assert.equal(await codeOf('192.0.2.7'), 'GODWIT_TOKEN_REFUSED');
  }
  assert.equal(await codeOf('192.0.2.7'), 'GODWIT_SIGN_IN_OFTEN');
  await assert.rejects(signIn({ body: { token: 'x' }, calledFrom: '192.0.2.7' }), / 30 s/);
  assert.equal(await codeOf('192.0.2.8'), 'GODWIT_TOKEN_REFUSED');
  nowMs = 30_000;
  assert.equal(await codeOf('192.0.2.7'), 'GODWIT_TOKEN_REFUSED');
  assert.equal(await codeOf('192.0.2.7'), 'GODWIT_SIGN_IN_OFTEN');
});
