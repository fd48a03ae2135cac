import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { webCaller } from '../../../src/controller/who/callers.ts';
import { OF_A_NETWORK, OF_ALL, Recognition } from '../../../src/controller/who/recognition.ts';
import type { Known } from '../../../src/controller/who/tokens.ts';
import { toGodwitError } from '../../../src/errors.ts';

const ANN: Known = { name: 'ann', role: 'viewer', expiresAtMs: undefined };
const made = (at: number): string => `gdw_${String(at).padStart(43, 'a')}`;
const cookieOf = (at: number): string => `gds_${String(at).padStart(43, 'a')}`;

/** A web listener that knows these secrets; `asked` are the secrets that its database was asked for. */
function listener(valid: ReadonlySet<string>) {
  const asked: string[] = [];
  const find = (secret: string): Promise<Known | undefined> => {
    asked.push(secret);
    return Promise.resolve(valid.has(secret) ? ANN : undefined);
  };
  const clock = { nowMs: 0 };
  const recognition = new Recognition(() => clock.nowMs);
  const deps = { tokens: { find }, sessions: { find }, recognition, origin: undefined };
  const ask = async (headers: object, remoteAddress: string): Promise<string> => {
    const request = { method: 'GET', headers, socket: { remoteAddress } };
    try {
      const caller = await webCaller(deps, request as unknown as IncomingMessage);
      return caller.role === 'none' ? caller.refusal.code : caller.name;
    } catch (thrown) {
      return toGodwitError(thrown).code;
    }
  };
  const byToken = (secret: string, from = '10.0.0.1') =>
    ask({ authorization: `Bearer ${secret}` }, from);
  const byCookie = (secret: string, from = '10.0.0.1') =>
    ask({ cookie: `__Host-godwit=${secret}` }, from);
  return { asked, clock, byToken, byCookie };
}

test('made-up tokens and cookies of one network ask the database a bounded number of times', async () => {
  const { asked, byToken, byCookie, clock } = listener(new Set());
  for (let at = 0; at < 500; at += 1) {
    await byToken(made(at));
    await byCookie(cookieOf(at));
  }
  assert.equal(asked.length, OF_A_NETWORK.burst);
  assert.equal(await byToken(made(1000)), 'GODWIT_SIGN_IN_OFTEN');
  clock.nowMs += OF_A_NETWORK.everyMs;
  assert.equal(await byToken(made(1000)), 'GODWIT_TOKEN_REFUSED');
  assert.equal(await byToken(made(1000)), 'GODWIT_SIGN_IN_OFTEN');
  assert.equal(asked.length, OF_A_NETWORK.burst + 1);
});

test('a network that knocks keeps no other network out, and no owner of a token that was valid before', async () => {
  const { asked, byToken } = listener(new Set([made(7), made(8)]));
  assert.equal(await byToken(made(7)), 'ann');
  for (let at = 100; at < 500; at += 1) await byToken(made(at));
  const before = asked.length;
  assert.equal(await byToken(made(7)), 'ann');
  assert.equal(await byToken(made(8)), 'GODWIT_SIGN_IN_OFTEN');
  assert.equal(await byToken(made(8), '10.0.0.2'), 'ann');
  assert.equal(asked.length, before + 2);
});

test('a token that was revoked is no longer known', async () => {
  const valid = new Set([made(7)]);
  const { byToken } = listener(valid);
  assert.equal(await byToken(made(7)), 'ann');
  valid.delete(made(7));
  assert.equal(await byToken(made(7)), 'GODWIT_TOKEN_REFUSED');
  for (let at = 100; at < 500; at += 1) await byToken(made(at));
  assert.equal(await byToken(made(7)), 'GODWIT_SIGN_IN_OFTEN');
});

test('valid tokens cost a network nothing, and strangers of all networks together have a bound', async () => {
  const valid = Array.from({ length: 400 }, (_none, at) => made(at));
  const { asked, byToken } = listener(new Set(valid));
  for (const each of valid) assert.equal(await byToken(each), 'ann');
  const before = asked.length;
  for (let at = 1000; at < 4000; at += 1)
    await byToken(made(at), `10.1.${Math.floor(at / 100)}.${at % 100}`);
  assert.equal(asked.length - before, OF_ALL.burst);
});
