import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { makeAuthority } from '../../../src/pki/x509.ts';
import { VsphereClient } from '../../../src/drivers/vsphere/client.ts';
import { vsphereOptions } from '../../../src/drivers/vsphere/options.ts';
import { toGodwitError } from '../../../src/errors.ts';

const NAMES = [
  'rootFolder',
  'propertyCollector',
  'viewManager',
  'sessionManager',
  'customFieldsManager',
  'searchIndex',
  'authorizationManager',
  'vmProvisioningChecker',
];
const ABOUT = `<about><apiVersion>8.0</apiVersion><apiType>VirtualCenter</apiType></about>${NAMES.map(
  (name) => `<${name} type="T">${name}</${name}>`,
).join('')}`;
const PAGE = `<token>more</token>${'<objects><obj type="T">t</obj></objects>'.repeat(20_000)}`;

function methodIn(body: string): string {
  return /<soapenv:Body><(\w+)/.exec(body)?.[1] ?? '';
}

function answerTo(method: string, said: string): string {
  return `<Envelope><Body><${method}Response><returnval>${said}</returnval></${method}Response></Body></Envelope>`;
}

const SILENT = 'silent';

/** A vCenter that answers so to each call, or never; undefined: it closes the connection without a word. */
async function vcenterOf(
  t: TestContext,
  answer: (method: string) => string | undefined,
  callMs?: number,
) {
  const { cert, key } = await makeAuthority('vc', { nowMs: Date.now(), days: 1 });
  const server = createServer({ cert, key }, async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const method = methodIn(Buffer.concat(parts).toString('utf8'));
    const said = method === 'RetrieveServiceContent' ? ABOUT : answer(method);
    if (said === undefined) request.socket.destroy();
    else if (said !== SILENT) response.end(answerTo(method, said));
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
  const given = { url, user: 'u', passwordFile, fingerprint, connections: 1 };
  const client = await VsphereClient.open(vsphereOptions.parse(given), signal, callMs);
  t.after(async () => {
    await client.close();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return { client, signal };
}

const OBJECT = { type: 'T', value: 't' };

test('a vCenter with an endless list is given up', async (t) => {
  const { client, signal } = await vcenterOf(t, () => PAGE);
  const wanted = [{ ref: OBJECT, properties: [] }];
  await assert.rejects(client.retrieve(wanted, signal), /its list has no end/);
});

test('a read-only call is repeated once if the vCenter has closed a kept connection', async (t) => {
  let closes = 1;
  const asked: string[] = [];
  const { client, signal } = await vcenterOf(t, (method) => {
    asked.push(method);
    if (method !== 'RetrievePropertiesEx') return '';
    closes -= 1;
    return closes >= 0 ? undefined : '<objects><obj type="T">t</obj></objects>';
  });
  const wanted = [{ ref: OBJECT, properties: [] }];
  assert.equal((await client.retrieve(wanted, signal)).length, 1);
  assert.deepEqual(asked, ['Login', 'RetrievePropertiesEx', 'RetrievePropertiesEx']);
});

test('an order that met the end of a connection is not sent again', async (t) => {
  const asked: string[] = [];
  const { client, signal } = await vcenterOf(t, (method) => {
    asked.push(method);
    return method === 'Login' ? '' : undefined;
  });
  await assert.rejects(client.call('RelocateVM_Task', OBJECT, [], signal), (thrown) => {
    return toGodwitError(thrown).code === 'GODWIT_UNREACHABLE';
  });
  assert.deepEqual(asked, ['Login', 'RelocateVM_Task']);
});

test('a vCenter that closes each connection is reported, and not asked without end', async (t) => {
  let asked = 0;
  const { client, signal } = await vcenterOf(t, (method) => {
    asked += method === 'RetrievePropertiesEx' ? 1 : 0;
    return method === 'Login' ? '' : undefined;
  });
  await assert.rejects(client.retrieve([{ ref: OBJECT, properties: [] }], signal), (thrown) => {
    return toGodwitError(thrown).code === 'GODWIT_UNREACHABLE';
  });
  assert.equal(asked, 2);
});

test('a call without an answer ends after its time limit, by its name', async (t) => {
  const answer = (method: string) => (method === 'CurrentTime' ? SILENT : '');
  const { client, signal } = await vcenterOf(t, answer, 500);
  await assert.rejects(client.call('CurrentTime', OBJECT, [], signal), (thrown) => {
    const { code, message } = toGodwitError(thrown);
    assert.match(message, /CurrentTime took longer than 500 ms/);
    return code === 'GODWIT_DEADLINE';
  });
});
