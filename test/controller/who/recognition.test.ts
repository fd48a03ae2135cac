import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { webCaller } from '../../../src/controller/who/callers.ts';
import {
  LIST_EVERY_MS,
  MAX_LISTED,
  OF_A_NETWORK,
  OF_ALL,
  Recognition,
} from '../../../src/controller/who/recognition.ts';
import { hashOf } from '../../../src/controller/who/secrets.ts';
import { Sessions } from '../../../src/controller/who/sessions.ts';
import { Tokens, type WebIdentity } from '../../../src/controller/who/tokens.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { silentLog } from '../../../src/log.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { toGodwitError } from '../../../src/errors.ts';

const ANN: WebIdentity = { name: 'ann', role: 'viewer', expiresAtMs: undefined };
const made = (at: number): string => `gdw_${String(at).padStart(43, 'a')}`;
const cookieOf = (at: number): string => `gds_${String(at).padStart(43, 'a')}`;

/** A web listener that knows these secrets; `asked` are the secrets that its database was asked for. */
function listener(valid: ReadonlySet<string>) {
  const asked: string[] = [];
  const find = (secret: string): Promise<WebIdentity | undefined> => {
    asked.push(secret);
    return Promise.resolve(valid.has(secret) ? ANN : undefined);
  };
  const clock = { nowMs: 0 };
  const listed = { times: 0, fails: false };
  const listHashes = async (): Promise<string[]> => {
    listed.times += 1;
    if (listed.fails) throw new Error('the database does not answer');
    return [...valid].map(hashOf);
  };
  const recognition = new Recognition(() => clock.nowMs, listHashes);
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
  return { asked, clock, listed, byToken, byCookie };
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

test('a persistent network keeps out no other network, and no owner of a token that was valid before', async () => {
  const { asked, listed, byToken } = listener(new Set([made(7), made(8)]));
  listed.fails = true;
  assert.equal(await byToken(made(7)), 'ann');
  for (let at = 100; at < 500; at += 1) await byToken(made(at));
  const before = asked.length;
  assert.equal(await byToken(made(7)), 'ann');
  assert.equal(await byToken(made(8)), 'GODWIT_SIGN_IN_OFTEN', 'the list cannot be read');
  assert.equal(await byToken(made(8), '10.0.0.2'), 'ann');
  assert.equal(asked.length, before + 2);
});

test('strangers keep out no owner of a valid token or session after a restart of the controller', async () => {
  const { asked, listed, byToken, byCookie } = listener(new Set([made(7), cookieOf(7)]));
  for (let at = 100; at < 500; at += 1) await byToken(made(at));
  assert.equal(await byToken(made(7)), 'ann');
  assert.equal(await byCookie(cookieOf(7)), 'ann');
  assert.equal(await byToken(made(8)), 'GODWIT_SIGN_IN_OFTEN');
  assert.equal(asked.length, OF_A_NETWORK.burst + 2);
  assert.equal(listed.times, 1);
});

test('the list of valid secrets is read once per interval, however many strangers try', async () => {
  const valid = new Set<string>();
  const { clock, listed, byToken } = listener(valid);
  for (let at = 100; at < 500; at += 1) await byToken(made(at));
  valid.add(made(7));
  assert.equal(await byToken(made(7)), 'GODWIT_SIGN_IN_OFTEN', 'it is newer than the list');
  assert.equal(listed.times, 1);
  clock.nowMs += LIST_EVERY_MS;
  for (let at = 100; at < 500; at += 1) await byToken(made(at));
  assert.equal(await byToken(made(7)), 'ann');
  assert.equal(listed.times, 2);
});

test('a listed token that was revoked is looked up once', async () => {
  const valid = new Set([made(7)]);
  const { asked, byToken } = listener(valid);
  for (let at = 100; at < 500; at += 1) await byToken(made(at));
  assert.equal(await byToken(made(7)), 'ann');
  valid.delete(made(7));
  const before = asked.length;
  assert.equal(await byToken(made(7)), 'GODWIT_TOKEN_REFUSED');
  assert.equal(await byToken(made(7)), 'GODWIT_SIGN_IN_OFTEN');
  assert.equal(asked.length, before + 1);
});

test('the list holds the requested number of hashes of valid tokens and sessions', async (t) => {
  const store = await openStore({ sqlite: `${tempDir(t)}/controller.db` }, silentLog);
  t.after(() => store.close());
  const [tokens, sessions] = [new Tokens(store), new Sessions(store)];
  const make = async (name: string, expiresInMs?: number) =>
    (await tokens.create({ name, role: 'viewer', by: 'ann', expiresInMs })).token;
  const [one, two] = [await make('one'), await make('two')];
  await make('ended', 0);
  const begun = await sessions.begin({ token: two });
  assert.ok(begun !== undefined);
  const { secret } = begun;
  const sorted = (all: readonly string[]) => all.toSorted();
  assert.deepEqual(sorted(await tokens.hashes(MAX_LISTED)), sorted([one, two].map(hashOf)));
  assert.deepEqual(await sessions.hashes(MAX_LISTED), [hashOf(secret)]);
  assert.equal((await tokens.hashes(1)).length, 1);
  await tokens.revoke('two');
  assert.deepEqual(await tokens.hashes(MAX_LISTED), [hashOf(one)]);
  assert.deepEqual(await sessions.hashes(MAX_LISTED), []);
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
