import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls';
import type { AddressInfo } from 'node:net';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { godwitError, hasCode } from '../../src/errors.ts';
import type { ShownCertificate } from '../../src/protocol/peer/fleet.ts';
import { PROTOCOL_HEADER, PROTOCOL_VERSIONS } from '../../src/protocol/version.ts';
import { authority, calling, hello, serving } from './test-contract.ts';
import { exchangeTls } from './wire.ts';

const params = { name: 'x' };
const body = { text: 't' };
const REQUEST =
  'POST /say/x HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{"text":"t"}';

async function twoHosts(t: TestContext) {
  const trusted = await authority(t);
  const { address } = await serving(t, await trusted.issue('b', 'agent'));
  return { ...trusted, address };
}

test("a caller from another CA is told so, and learns only the server's identity", async (t) => {
  const { address, issue } = await twoHosts(t);
  const other = await authority(t);
  const stranger = await other.issue('a', 'agent');
  // It trusts the server for this test: what is tried is the server's own refusal.
  const { ca } = await issue('a', 'agent');
  const { api } = calling(t, address, { ...stranger, ca });
  assert.equal((await api.hello()).name, 'b');
  for (const call of [() => api.say({ params, body }), () => api.report({ params, body })]) {
    await assert.rejects(call, { code: 'GODWIT_PEER_UNTRUSTED', message: /^a \(127.0.0.1\)/ });
  }
});

test('a change that another site made a browser send is refused, even with a certificate', async (t) => {
  const { address, issue } = await twoHosts(t);
  const { cert, key, ca } = await issue('ann', 'operator');
  const version = `${PROTOCOL_HEADER}: ${PROTOCOL_VERSIONS.join()}`;
  const asked = (header: string) =>
    exchangeTls(
      address,
      { cert, key, ca },
      REQUEST.replace('content-length', `${version}\r\n${header}\r\ncontent-length`),
    );
  for (const header of ['origin: https://evil.example', 'sec-fetch-site: cross-site']) {
    const { status, json } = await asked(header);
    assert.deepEqual([status, json.error.code], [403, 'GODWIT_REQUEST_FORGED'], header);
  }
  for (const header of ['origin: https://b', 'sec-fetch-site: none'])
    assert.equal((await asked(header)).status, 200, header);
});

test('a server from another CA is refused before a byte is sent', async (t) => {
  const { address } = await twoHosts(t);
  const other = await authority(t);
  const { api } = calling(t, address, await other.issue('a', 'agent'));
  await assert.rejects(api.hello(), {
    code: 'GODWIT_PEER_UNTRUSTED',
    message: 'b did not present a certificate that this host trusts: it is from another CA',
  });
});

test('an expired certificate is refused with its date on both sides', async (t) => {
  const { address, issue } = await twoHosts(t);
  const caller = calling(t, address, await issue('a', 'agent', -1));
  await assert.rejects(caller.api.say({ params, body }), (error) => {
    assert.ok(hasCode(error, 'GODWIT_CERT_EXPIRED'));
    assert.match(error.message, /^the certificate of a .* expired on \d{4}-\d\d-\d\dT/);
    return true;
  });
  const late = await serving(t, await issue('b', 'agent', -1));
  const { api } = calling(t, late.address, await issue('a', 'agent'));
  await assert.rejects(api.hello(), {
    code: 'GODWIT_CERT_EXPIRED',
    message: /^the certificate of b expired on \d{4}-\d\d-\d\dT/,
  });
});

test('a caller without a certificate is told to use one', async (t) => {
  const { address, issue } = await twoHosts(t);
  const { ca } = await issue('a', 'agent');
  const { status, json } = await exchangeTls(
    address,
    { ca },
    'GET /v1/status HTTP/1.1\r\nhost: b\r\n\r\n',
  );
  assert.equal(status, 401);
  assert.equal(json.error.code, 'GODWIT_PEER_UNTRUSTED');
  assert.match(json.error.message, /none was sent/);
});

test('a stranger does not learn which routes there are', async (t) => {
  const { address, issue } = await twoHosts(t);
  const { ca } = await issue('a', 'agent');
  const { status } = await exchangeTls(address, { ca }, 'GET /nothing HTTP/1.1\r\nhost: b\r\n\r\n');
  assert.equal(status, 401);
});

test('each role may act by the table, and a refusal names the missing role', async (t) => {
  const { address, issue } = await twoHosts(t);
  const may = async (role: 'viewer' | 'operator' | 'agent'): Promise<string[]> => {
    const { api } = calling(t, address, await issue('someone', role));
    const answers: string[] = [];
    for (const key of ['say', 'act', 'report'] as const) {
      answers.push(
        await api[key]({ params, body }).then(
          () => 'yes',
          (error: { code: string }) => error.code,
        ),
      );
    }
    return answers;
  };
  const no = 'GODWIT_ROLE_FORBIDDEN';
  assert.deepEqual(await may('viewer'), ['yes', no, no]);
  assert.deepEqual(await may('operator'), ['yes', 'yes', no]);
  assert.deepEqual(await may('agent'), ['yes', no, 'yes']);
});

test('a server of another name or role is refused, whatever its address', async (t) => {
  const { address, issue } = await twoHosts(t);
  const credentials = await issue('a', 'agent');
  const named = calling(t, address, credentials, { name: 'c' });
  await assert.rejects(named.api.hello(), {
    code: 'GODWIT_PEER_UNTRUSTED',
    message: /^c did not present .* the one there is for b$/,
  });
  const posing = await serving(t, await issue('b', 'operator'));
  const { api } = calling(t, posing.address, credentials);
  await assert.rejects(api.hello(), { code: 'GODWIT_ROLE_FORBIDDEN' });
});

test('a server may refuse a caller that the table admits', async (t) => {
  const { issue } = await authority(t);
  const { address } = await serving(t, await issue('b', 'agent'), {
    authorise: ({ name }) => {
      if (name !== 'a') throw new Error('only a');
    },
  });
  const allowed = calling(t, address, await issue('a', 'agent'));
  await allowed.api.report({ params, body });
  const refused = calling(t, address, await issue('c', 'agent'));
  await assert.rejects(refused.api.report({ params, body }));
});

test('a revoked right ends with the next request on an open connection', async (t) => {
  const { issue } = await authority(t);
  const asked: ShownCertificate[] = [];
  let isRevoked = false;
  const refuses = (shown: ShownCertificate) => {
    asked.push(shown);
    const facts = { peer: shown.name, date: 'today' };
    return isRevoked ? godwitError('GODWIT_CERT_REVOKED', facts) : undefined;
  };
  const { address } = await serving(t, { ...(await issue('b', 'agent')), refuses });
  const credentials = await issue('a', 'agent');
  const { serialNumber } = new X509Certificate(credentials.cert);
  const [host, port] = address.split(':');
  const socket = tlsConnect({
    ...credentials,
    host: host!,
    port: Number(port),
    rejectUnauthorized: false,
  });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  const status = async (): Promise<string> => {
    socket.write(REQUEST);
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    return chunk.toString();
  };
  assert.match(await status(), /^HTTP\/1\.1 200/);
  isRevoked = true;
  const refused = await status();
  assert.match(refused, /^HTTP\/1\.1 401/);
  assert.match(refused, /GODWIT_CERT_REVOKED/);
  const reported = asked.map(({ name, role, serial }) => [name, role, serial].join());
  assert.deepEqual([...new Set(reported)], [`a,agent,${serialNumber}`]);
});

test('no byte is sent to a server whose certificate is no longer valid', async (t) => {
  const { address, issue } = await twoHosts(t);
  const refuses = ({ name: peer }: ShownCertificate) =>
    godwitError('GODWIT_CERT_REVOKED', { peer, date: 'today' });
  const { api } = calling(t, address, { ...(await issue('a', 'agent')), refuses });
  await assert.rejects(api.hello(), { code: 'GODWIT_CERT_REVOKED' });
});

test('no session is ever resumed, so each connection shows its certificate', async (t) => {
  const { address, issue } = await twoHosts(t);
  const credentials = await issue('a', 'agent');
  const [host, port] = address.split(':');
  const options = { ...credentials, host: host!, port: Number(port), rejectUnauthorized: false };
  const first = tlsConnect(options);
  const sessions: Buffer[] = [];
  first.on('session', (session) => sessions.push(session));
  await once(first, 'secureConnect');
  first.end('GET /hello HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n');
  first.resume();
  await once(first, 'close');
  assert.ok(sessions.length > 0, 'the client has something to resume');
  for (const session of sessions) {
    const again = tlsConnect({ ...options, session });
    await once(again, 'secureConnect');
    assert.equal(again.isSessionReused(), false);
    again.destroy();
  }
});

test('the certificate of the CA comes with the handshake', async (t) => {
  const { address, issue } = await twoHosts(t);
  const { ca } = await issue('a', 'agent');
  const [host, port] = address.split(':');
  const socket = tlsConnect({ host: host!, port: Number(port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const shown = socket.getPeerCertificate(true).issuerCertificate.raw;
  socket.destroy();
  const digest = (raw: Buffer) => createHash('sha256').update(raw).digest('hex');
  assert.equal(digest(shown), digest(new X509Certificate(ca).raw));
});

test('TLS 1.2 is refused on both sides', async (t) => {
  const { address, issue } = await twoHosts(t);
  const credentials = await issue('a', 'agent');
  const [host, port] = address.split(':');
  const old = tlsConnect({
    ...credentials,
    host: host!,
    port: Number(port),
    maxVersion: 'TLSv1.2',
  });
  await assert.rejects(once(old, 'secureConnect'), {
    code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
  });

  const server = createTlsServer({ ...(await issue('b', 'agent')), maxVersion: 'TLSv1.2' });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const oldAddress = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { api } = calling(t, oldAddress, credentials);
  await assert.rejects(api.hello(), { code: 'GODWIT_UNREACHABLE', message: /TLS 1\.3/ });
});

test('a server that does not use TLS, hangs up or is missing is named with the reason', async (t) => {
  const { issue } = await authority(t);
  const credentials = await issue('a', 'agent');
  const cases = [
    [(socket: net.Socket) => socket.end('SSH-2.0-x\r\n'), /does not speak TLS/],
    [(socket: net.Socket) => socket.destroy(), /closed the connection/],
  ] as const;
  let address = '';
  for (const [behave, reason] of cases) {
    const server = net.createServer((socket) => {
      socket.on('error', () => {}).resume();
      behave(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { api } = calling(t, address, credentials);
    await assert.rejects(api.hello(), { code: 'GODWIT_UNREACHABLE', message: reason });
    server.close();
    await once(server, 'close');
  }
  const { api } = calling(t, address, credentials);
  await assert.rejects(api.hello(), {
    code: 'GODWIT_UNREACHABLE',
    message: `b at ${address} does not answer: nothing listens there (connection refused)`,
  });
});

test('a host-to-host call names the protocol version, and another one is refused', async (t) => {
  const { issue } = await authority(t);
  const old = await serving(t, await issue('b', 'agent'), {
    handlers: { hello: () => ({ ...hello, versions: [99] }) },
  });
  const credentials = await issue('a', 'agent');
  const { api } = calling(t, old.address, credentials);
  await assert.rejects(api.report({ params, body }), {
    code: 'GODWIT_PROTOCOL_VERSION',
    message: 'b speaks protocol 99; this side speaks 1',
  });
  assert.equal((await api.say({ params, body })).by, 'a');

  for (const header of ['', `${PROTOCOL_HEADER}: 99\r\n`, `${PROTOCOL_HEADER}: 1, 99\r\n`]) {
    const { status, json } = await exchangeTls(
      old.address,
      credentials,
      `GET /v1/status HTTP/1.1\r\nhost: b\r\n${header}\r\n`,
    );
    assert.equal(status, 426);
    assert.equal(json.error.code, 'GODWIT_PROTOCOL_VERSION');
  }
});
