import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { makeAuthority } from '../../../src/agent/pki/x509.ts';
import { VsphereClient } from '../../../src/drivers/vsphere/client.ts';
import { vsphereOptions } from '../../../src/drivers/vsphere/options.ts';

const NAMES = [
  'rootFolder',
  'propertyCollector',
  'viewManager',
  'sessionManager',
  'customFieldsManager',
  'authorizationManager',
  'vmProvisioningChecker',
];
const ABOUT = `<about><apiVersion>8.0</apiVersion><apiType>VirtualCenter</apiType></about>${NAMES.map(
  (name) => `<${name} type="T">${name}</${name}>`,
).join('')}`;
const PAGE = `<token>more</token>${'<objects><obj type="T">t</obj></objects>'.repeat(20_000)}`;

function answerTo(body: string): string {
  const method = /<soapenv:Body><(\w+)/.exec(body)?.[1] ?? '';
  const said = method === 'RetrieveServiceContent' ? ABOUT : PAGE;
  return `<Envelope><Body><${method}Response><returnval>${said}</returnval></${method}Response></Body></Envelope>`;
}

test('a vCenter whose list has no end is given up', async () => {
  const { cert, key } = await makeAuthority('vc', { nowMs: Date.now(), days: 1 });
  const server = createServer({ cert, key }, async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    response.end(answerTo(Buffer.concat(parts).toString('utf8')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-vc-'));
  const passwordFile = path.join(dir, 'password');
  writeFileSync(passwordFile, 'secret', { mode: 0o600 });
  const { port } = server.address() as AddressInfo;
  const { fingerprint256: fingerprint } = new X509Certificate(cert);
  const url = `https://127.0.0.1:${port}`;
  const signal = AbortSignal.timeout(30_000);
  const options = vsphereOptions.parse({ url, user: 'u', passwordFile, fingerprint });
  const client = await VsphereClient.open(options, signal);
  try {
    const wanted = [{ ref: { type: 'T', value: 't' }, properties: [] }];
    await assert.rejects(client.retrieve(wanted, signal), /its list has no end/);
  } finally {
    await client.close();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
