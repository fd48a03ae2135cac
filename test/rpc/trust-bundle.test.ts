import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { serverTls, type Credentials } from '../../src/rpc/tls.ts';
import { issuerAmong, parseBundle } from '../../src/rpc/trust-bundle.ts';
import { authority, calling, serving } from './test-contract.ts';

const params = { name: 'x' };
const body = { text: 't' };

/** Certificates of an old and of a new CA, each with the bundle of both. */
async function overlap(t: TestContext) {
  const [old, next] = [await authority(t), await authority(t)];
  const ca = [old, next]
    .map(({ caDir }) => readFileSync(path.join(caDir, 'ca.crt'), 'utf8'))
    .join('');
  const both = async (from: typeof old, name: string): Promise<Credentials> => ({
    ...(await from.issue(name, 'agent')),
    ca,
  });
  return { old, next, both, ca };
}

test('during the overlap certificates of both CAs are accepted in both directions', async (t) => {
  const { old, next, both } = await overlap(t);
  for (const [server, caller] of [
    [old, next],
    [next, old],
    [old, old],
    [next, next],
  ] as const) {
    const { address } = await serving(t, await both(server, 'b'));
    const { api } = calling(t, address, await both(caller, 'a'));
    assert.equal((await api.report({ params, body })).by, 'a');
  }
});

test('a server sends its own CA alone, which a host that joins compares with its token', async (t) => {
  const { old, next, both } = await overlap(t);
  for (const from of [old, next]) {
    const own = readFileSync(path.join(from.caDir, 'ca.crt'), 'utf8');
    const credentials = await both(from, 'b');
    assert.equal(serverTls(credentials).cert, `${credentials.cert.trimEnd()}\n${own}`);
  }
});

test('once a process trusts the new CA alone, a certificate of the old CA is refused on both sides', async (t) => {
  const { old, next, both } = await overlap(t);
  const strict = await serving(t, await next.issue('b', 'agent'));
  const late = calling(t, strict.address, await both(old, 'a'));
  await assert.rejects(late.api.report({ params, body }), { code: 'GODWIT_PEER_UNTRUSTED' });
  const outdated = await serving(t, await both(old, 'b'));
  const caller = calling(t, outdated.address, await next.issue('a', 'agent'));
  await assert.rejects(caller.api.report({ params, body }), {
    code: 'GODWIT_PEER_UNTRUSTED',
    message: /not from our CA|another CA/,
  });
});

test('a server and a client take another bundle without a restart', async (t) => {
  const { old, next, both, ca } = await overlap(t);
  const server = { now: await old.issue('b', 'agent') };
  const { address } = await serving(t, { ...server.now, current: () => server.now });
  const caller = await both(next, 'a');
  await assert.rejects(calling(t, address, caller).api.report({ params, body }), {
    code: 'GODWIT_PEER_UNTRUSTED',
  });
  // Their certificates stay the same.
  server.now = { ...server.now, ca };
  assert.equal((await calling(t, address, caller).api.report({ params, body })).by, 'a');
  const mine = { now: await both(old, 'c') };
  const live = calling(t, address, { ...mine.now, current: () => mine.now });
  await live.api.report({ params, body });
  mine.now = { ...mine.now, ca: (await next.issue('c', 'agent')).ca };
  await assert.rejects(live.api.report({ params, body }), { code: 'GODWIT_PEER_UNTRUSTED' });
});

test('the CA of a certificate is found in a bundle', async (t) => {
  const { old, next, ca } = await overlap(t);
  const authorities = parseBundle(ca);
  for (const [index, from] of [old, next].entries()) {
    const { cert } = await from.issue('a', 'agent');
    assert.equal(issuerAmong(authorities, new X509Certificate(cert)), authorities[index]);
  }
  const stranger = await (await authority(t)).issue('a', 'agent');
  assert.equal(issuerAmong(authorities, new X509Certificate(stranger.cert)), undefined);
});

test('a damaged or foreign entry is refused by file and entry, and repeated CAs count once', async (t) => {
  const { old, ca } = await overlap(t);
  const [first = '', second = ''] = parseBundle(ca).map(({ pem }) => pem);
  const { cert, key } = await old.issue('a', 'agent');
  const broken = second.replace(/\n.{10}/, '\nAAAAAAAAAA');
  const cases: [text: string, message: RegExp][] = [
    ['', /\/x\/ca\.crt is empty/],
    ['nonsense', /\/x\/ca\.crt is no certificate in PEM/],
    [first + broken, /\/x\/ca\.crt: entry 2 is damaged/],
    [first + second.slice(0, 200), /\/x\/ca\.crt: entry 2 has no end/],
    [
      first + cert,
      /\/x\/ca\.crt: entry 2 \(CN=a, OU=agent, O=Godwit\) is not the certificate of a CA/,
    ],
    [first + key, /\/x\/ca\.crt: entry 2 is a PRIVATE KEY, not a certificate/],
    [first.repeat(5), /has 5 entries, and at most 4/],
    [first + ' '.repeat(17_000), /larger than 16 KiB/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parseBundle(text, '/x/ca.crt'), {
      code: 'GODWIT_PKI',
      message,
      hint: /Copy ca\.crt from the host of the CA/,
    });
  }
  assert.equal(parseBundle(first + second + first).length, 2);
});

test('a process with a damaged bundle says so and connects nowhere', async (t) => {
  const { old, ca } = await overlap(t);
  const { address } = await serving(t, await old.issue('b', 'agent'));
  const damaged = { ...(await old.issue('a', 'agent')), ca: ca.slice(0, -200) };
  await assert.rejects(calling(t, address, damaged).api.report({ params, body }), {
    code: 'GODWIT_PKI',
    message: /entry 2 has no end/,
  });
  await assert.rejects(serving(t, damaged), { code: 'GODWIT_PKI' });
});
