import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { createServer } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { issue } from '../../../src/pki/authority.ts';
import { shownAt } from '../../../src/controller/managers/certificate.ts';
import { authority } from '../../rpc/test-contract.ts';

/** A server with a certificate of its own, whose bytes `change` may change: nobody checks its signature. */
async function serverOf(t: TestContext, change: (der: Buffer) => void): Promise<string> {
  const { caDir } = await authority(t);
  const addresses = ['127.0.0.1'];
  const { cert, key } = await issue({ caDir, name: 'vc1', role: 'agent', addresses });
  const der = Buffer.from(new X509Certificate(cert).raw);
  change(der);
  const text = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
  const server = createServer({ cert: text, key }).listen(0, '127.0.0.1');
  server.on('tlsClientError', () => {});
  server.on('secureConnection', (socket) => socket.on('error', () => {}));
  await once(server, 'listening');
  t.after(() => server.close());
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** The digits of the second moment of a certificate: until when it is valid. */
function lastMomentIn(der: Buffer): Buffer {
  const found = [...der.toString('latin1').matchAll(/\d{12}Z/g)][1];
  assert.ok(found);
  return der.subarray(found.index, found.index + 12);
}

test('the certificate of a server is reported: fingerprint, subject and expiry', async (t) => {
  const shown = await shownAt(await serverOf(t, () => {}));
  assert.match(shown.fingerprint, /^[0-9a-f]{64}$/);
  assert.match(shown.subject, /vc1/);
  assert.ok(Date.parse(shown.validTo) > Date.now());
});

test('a certificate without a readable date is refused, and does not end the controller', async (t) => {
  const url = await serverOf(t, (der) => lastMomentIn(der).fill('9'));
  await assert.rejects(shownAt(url), { code: 'GODWIT_UNREACHABLE' });
});
