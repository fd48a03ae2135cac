import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { join } from '../../src/pki/join.ts';
import { ownIdentity } from '../../src/pki/own-identity.ts';
import { changeList, withoutHost, withoutName } from '../../src/pki/fleet-list.ts';
import { endTokens, makeToken, parseToken, redeemToken } from '../../src/pki/token.ts';
import { makeRequest } from '../../src/pki/x509.ts';
import { fleetList } from '../../src/protocol/peer/fleet.ts';
import { readCredentials } from '../../src/rpc/tls.ts';
import { authority, tempDir } from '../rpc/test-contract.ts';
import { fleet } from '../agent/samples.ts';

const hour = 3_600_000;

const asked = (caDir: string, agent: string) =>
  ({ caDir, agent, name: 'new', role: 'agent', addresses: [] }) as const;

function token(caDir: string, agent: string, validMs = hour): string {
  return makeToken({ ...asked(caDir, agent), validMs }, Date.now());
}

test('a host joins with a token and can connect to the others at once', async (t) => {
  const { host, caDir } = await fleet(t);
  const a = await host('a', { holdsCa: true });
  const directory = path.join(tempDir(t), 'pki');
  const joined = await join(token(caDir, a.agent.address), directory);
  assert.equal(joined.name, 'new');
  const { cert, ca } = readCredentials(directory);
  assert.deepEqual(ownIdentity('host.crt', cert), { name: 'new', role: 'agent' });
  assert.equal(ca, readFileSync(path.join(caDir, 'ca.crt'), 'utf8'));
  const secret = readFileSync(path.join(directory, 'site.secret'), 'utf8');
  assert.equal(secret, readFileSync(path.join(caDir, 'site.secret'), 'utf8'));
});

test('a token works once', async (t) => {
  const { host, caDir } = await fleet(t);
  const a = await host('a', { holdsCa: true });
  const text = token(caDir, a.agent.address);
  const root = tempDir(t);
  await join(text, path.join(root, 'first'));
  await assert.rejects(join(text, path.join(root, 'second')), {
    code: 'GODWIT_JOIN_TOKEN',
    message: /unknown or was used/,
  });
  assert.deepEqual(readdirSync(root), ['first']);
});

test('only one of many users of one token at once gets a certificate', async (t) => {
  const { caDir } = await authority(t);
  const text = token(caDir, '127.0.0.1:1');
  const { request } = await makeRequest('new');
  const tries = Array.from({ length: 8 }, () => redeemToken(caDir, text, request, Date.now()));
  const results = await Promise.allSettled(tries);
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('an expired token is refused with its date', async (t) => {
  const { caDir } = await authority(t);
  const text = token(caDir, '127.0.0.1:1', -1);
  const { request } = await makeRequest('new');
  await assert.rejects(redeemToken(caDir, text, request, Date.now()), {
    code: 'GODWIT_JOIN_TOKEN',
    message: /expired on \d{4}-/,
  });
});

test("the name in the certificate is the token's name, whatever the request contains", async (t) => {
  const { caDir } = await authority(t);
  const { request } = await makeRequest('a');
  const text = token(caDir, '127.0.0.1:1');
  const { certificate } = await redeemToken(caDir, text, request, Date.now());
  assert.equal(ownIdentity('host.crt', certificate).name, 'new');
});

test("a token from before its host's removal or revocation is refused, and a newer one is accepted", async (t) => {
  const { caDir } = await authority(t);
  const { request } = await makeRequest('new');
  for (const change of [withoutHost('new'), withoutName('new')]) {
    const early = token(caDir, '127.0.0.1:1');
    const nowMs = Date.now() + 5000;
    changeList(caDir, change, nowMs);
    const late = makeToken({ ...asked(caDir, '127.0.0.1:1'), validMs: hour }, nowMs);
    await assert.rejects(redeemToken(caDir, early, request, nowMs), {
      code: 'GODWIT_JOIN_TOKEN',
      message: /made before new was removed or revoked/,
    });
    const { fleet: signed } = await redeemToken(caDir, late, request, nowMs);
    const list = fleetList.parse(JSON.parse(signed?.list ?? ''));
    assert.equal(list.removed.includes('new'), false);
  }
});

test('tokens of one name are revoked, and no others', async (t) => {
  const { caDir } = await authority(t);
  const { request } = await makeRequest('new');
  const [one, two] = [token(caDir, '127.0.0.1:1'), token(caDir, '127.0.0.1:1')];
  const other = makeToken({ ...asked(caDir, '127.0.0.1:1'), name: 'c', validMs: hour }, Date.now());
  assert.deepEqual(endTokens(caDir, 'new'), ['new', 'new']);
  for (const text of [one, two]) {
    await assert.rejects(redeemToken(caDir, text, request, Date.now()), {
      code: 'GODWIT_JOIN_TOKEN',
    });
  }
  assert.equal((await redeemToken(caDir, other, request, Date.now())).name, 'c');
});

test('a bad request does not use up the token', async (t) => {
  const { caDir } = await authority(t);
  const text = token(caDir, '127.0.0.1:1');
  await assert.rejects(redeemToken(caDir, text, 'nonsense', Date.now()), { code: 'GODWIT_PKI' });
  const { request } = await makeRequest('new');
  await redeemToken(caDir, text, request, Date.now());
});

test('only the hash of the secret is stored', async (t) => {
  const { caDir } = await authority(t);
  const text = token(caDir, '127.0.0.1:1');
  const { secret } = parseToken(text);
  const files = readdirSync(path.join(caDir, 'tokens'));
  assert.equal(files.length, 1);
  const kept = readFileSync(path.join(caDir, 'tokens', files[0]!), 'utf8');
  assert.ok(!`${files[0]}${kept}`.includes(secret));
});

test('a joining host is not deceived by an agent of another CA', async (t) => {
  const own = await authority(t);
  const { host } = await fleet(t);
  const other = await host('x', { holdsCa: true });
  const directory = path.join(tempDir(t), 'pki');
  await assert.rejects(join(token(own.caDir, other.agent.address), directory), {
    code: 'GODWIT_PEER_UNTRUSTED',
    message: /not the one that the token names/,
  });
  assert.throws(() => readdirSync(directory));
});

test('an agent without the CA reports that', async (t) => {
  const { host, caDir } = await fleet(t);
  const a = await host('a');
  const directory = path.join(tempDir(t), 'pki');
  await assert.rejects(join(token(caDir, a.agent.address), directory), {
    code: 'GODWIT_JOIN_TOKEN',
    message: /does not hold the CA/,
  });
});

test('a text that is not a token is reported as such, and an agent that is away is named', async (t) => {
  const { caDir } = await authority(t);
  for (const text of ['', 'gwj1', 'gwj1/a/b/c/d', `${token(caDir, '127.0.0.1:1')}/more`]) {
    assert.throws(() => parseToken(text), { code: 'GODWIT_JOIN_TOKEN' });
  }
  const away = join(token(caDir, '127.0.0.1:1'), path.join(tempDir(t), 'pki'));
  await assert.rejects(away, { code: 'GODWIT_UNREACHABLE', message: /127\.0\.0\.1:1/ });
});
