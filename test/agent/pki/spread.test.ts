import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { join } from '../../../src/pki/join.ts';
import { renewCertificate } from '../../../src/pki/issued.ts';
import { makeRequest } from '../../../src/pki/x509.ts';
import { makeToken } from '../../../src/pki/token.ts';
import {
  changeList,
  latestList,
  unchanged,
  withoutHost,
  withoutName,
} from '../../../src/pki/fleet-list.ts';
import { client } from '../../../src/rpc/client.ts';
import { readCredentials } from '../../../src/rpc/tls.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { signed } from '../../host/fleet-lists.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { fleet, type TestHost } from '../samples.ts';
import { untilSo } from '../../until.ts';

const nobody = { address: '127.0.0.1:1' };

async function numberAt(caller: { newerList: TestHost['api']['newerList'] }): Promise<number> {
  const { signed: found } = await caller.newerList({ query: { after: 0 } });
  return found === undefined ? 0 : (JSON.parse(found.list) as { number: number }).number;
}

test('a list that is signed at the CA reaches the other hosts, and ends rights on open connections', async (t) => {
  const { host, as, caDir } = await fleet(t);
  const b = await host('b', { peers: { a: nobody, c: nobody } });
  const a = await host('a', { holdsCa: true, peers: { b: { address: b.agent.address } } });
  const c = await as('c', 'agent', b);
  const ann = await as('ann', 'operator', b);
  assert.equal((await c.host()).name, 'b');
  assert.equal((await ann.host()).name, 'b');
  changeList(caDir, withoutHost('c'), Date.now());
  changeList(caDir, withoutName('ann'), Date.now());
  const asA = await as('a', 'agent', b);
  const number = latestList(caDir)?.list.number ?? 0;
  assert.equal(number, 3);
  await untilSo(async () => (await numberAt(asA)) === number);
  await assert.rejects(c.host(), { code: 'GODWIT_CERT_REVOKED' });
  await assert.rejects(ann.host(), { code: 'GODWIT_CERT_REVOKED' });
  assert.equal(await numberAt(await as('b', 'agent', a)), number);
});

test('a host that was down requests its missed lists, and keeps them over a restart', async (t) => {
  const { host, as, caDir } = await fleet(t);
  const a = await host('a', { holdsCa: true, peers: { b: nobody } });
  changeList(caDir, withoutHost('c'), Date.now());
  const b = await host('b', { peers: { a: { address: a.agent.address }, c: nobody } });
  const asA = await as('a', 'agent', b);
  await untilSo(async () => (await numberAt(asA)) === 2);
  await a.agent.close();
  const again = await b.again();
  const c = await as('c', 'agent', again);
  await assert.rejects(c.host(), { code: 'GODWIT_NOT_A_MEMBER' });
});

test('a list with a lower number, or not signed by the CA, is not accepted from any host', async (t) => {
  const { host, as, caDir } = await fleet(t);
  const b = await host('b', { peers: { a: nobody } });
  const a = await as('a', 'agent', b);
  const old = changeList(caDir, unchanged, Date.now()).signed;
  const { signed: newer } = changeList(caDir, unchanged, Date.now());
  assert.deepEqual(await a.offerList({ body: newer }), { number: 2 });
  assert.deepEqual(await a.offerList({ body: old }), { number: 2 });
  const stranger = (await fleet(t)).caDir;
  const other = { ...newer, signature: signed(stranger, newer.list).signature };
  await assert.rejects(a.offerList({ body: other }), { code: 'GODWIT_PKI' });
  assert.equal(await numberAt(a), 2);
});

test("a CA that was restored from a backup continues from the fleet's list", async (t) => {
  const { host, as, caDir } = await fleet(t);
  const a = await host('a', { holdsCa: true, peers: { b: nobody } });
  const b = await as('b', 'agent', a);
  const newest = Array.from({ length: 5 }, () => changeList(caDir, unchanged, Date.now())).at(-1);
  const number = newest?.list.number ?? 0;
  for (const gone of [number, number - 1]) {
    rmSync(path.join(caDir, 'fleet', `${gone}.json`));
  }
  assert.deepEqual(await b.offerList({ body: newest!.signed }), { number });
  assert.equal(changeList(caDir, unchanged, Date.now()).list.number, number + 1);
});

test('a joining host and the others know each other, without an entry in any configuration', async (t) => {
  const { host, as, caDir } = await fleet(t);
  const b = await host('b', { peers: { a: nobody } });
  const a = await host('a', { holdsCa: true, peers: { b: { address: b.agent.address } } });
  const common = { caDir, role: 'agent', validMs: 60_000, agent: a.agent.address } as const;
  const token = makeToken({ ...common, name: 'new', addresses: ['127.0.0.9'] }, Date.now());
  const directory = path.join(tempDir(t), 'pki');
  await join(token, directory);
  const asA = await as('a', 'agent', b);
  await untilSo(async () => (await numberAt(asA)) >= 2);
  const { api, close } = client(agentContract, {
    address: b.agent.address,
    credentials: readCredentials(directory),
    expectedName: 'b',
  });
  t.after(close);
  assert.equal((await api.host()).name, 'b');
  const { hosts } = await b.api.hosts();
  const port = a.agent.address.split(':')[1];
  assert.equal(hosts.find(({ name }) => name === 'new')?.address, `127.0.0.9:${port}`);
});

test("a thief that renews a host's certificate does not lock the host out, whatever it requests", async (t) => {
  const { host, caDir } = await fleet(t);
  const b = await host('b', { peers: { a: nobody } });
  const a = await host('a', { holdsCa: true, peers: { b: { address: b.agent.address } } });
  const own = readCredentials(path.join(b.config.stateDir, 'pki'), 'host');
  const { request, key } = await makeRequest('b');
  // The CA does not remember that it has only just given it.
  rmSync(path.join(caDir, 'issued'), { recursive: true });
  const shown = new X509Certificate(own.cert);
  const { certificate = '' } = await renewCertificate(caDir, shown, request, Date.now());
  const transport = (cert: string, with_: string) => ({
    address: a.agent.address,
    credentials: { ...own, cert, key: with_ },
    expectedName: 'a',
  });
  const thief = client(agentContract, transport(certificate, key));
  const itself = client(agentContract, transport(own.cert, own.key));
  t.after(() => thief.close());
  t.after(() => itself.close());
  const before = await numberAt(thief.api);
  for (let asked = 0; asked < 3; asked += 1) await thief.api.newerList({ query: { after: 0 } });
  assert.equal(await numberAt(itself.api), before);
  assert.equal(latestList(caDir)?.list.renewed, undefined);
});
