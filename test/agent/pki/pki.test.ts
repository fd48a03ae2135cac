import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { initCa, issue, storeCredentials } from '../../../src/pki/authority.ts';
import { issueLabPki } from '../../../lab/pki.ts';
import { ownIdentity } from '../../../src/pki/own-identity.ts';
import { makeRequest, signRequest } from '../../../src/pki/x509.ts';
import { authority, tempDir } from '../../rpc/test-contract.ts';

const DAY_MS = 86_400_000;

test('a certificate names its holder, role and addresses, and serves both ends of a connection', async (t) => {
  const caDir = path.join(tempDir(t), 'ca');
  const { cert: ca } = await initCa(caDir);
  const addresses = ['10.0.0.1', 'fd00::1', 'localhost'];
  const { cert, key } = await issue({ caDir, name: 'a', role: 'agent', addresses });
  const parsed = new X509Certificate(cert);
  assert.equal(parsed.subject, 'CN=a\nOU=agent\nO=Godwit');
  assert.deepEqual(ownIdentity('host.crt', cert), { name: 'a', role: 'agent' });
  assert.equal(parsed.checkHost('a'), 'a');
  assert.equal(parsed.checkHost('localhost'), 'localhost');
  assert.equal(parsed.checkIP('10.0.0.1'), '10.0.0.1');
  assert.ok(parsed.checkIP('fd00::1') !== undefined);
  assert.deepEqual(parsed.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  assert.equal(parsed.ca, false);
  assert.ok(parsed.verify(new X509Certificate(ca).publicKey));
  assert.ok(parsed.checkIssued(new X509Certificate(ca)));
  assert.match(key, /^-----BEGIN PRIVATE KEY-----\n/);
});

test('keys are readable by their owner alone, and no half-written file stays behind', async (t) => {
  const root = tempDir(t);
  const caDir = path.join(root, 'ca');
  await initCa(caDir);
  const issued = await issue({ caDir, name: 'a', role: 'agent', addresses: [] });
  storeCredentials(path.join(root, 'a'), issued);
  for (const directory of ['ca', 'a']) {
    assert.equal(statSync(path.join(root, directory)).mode & 0o777, 0o700);
    for (const file of readdirSync(path.join(root, directory), { recursive: true })) {
      const found = statSync(path.join(root, directory, String(file)));
      assert.equal(found.mode & 0o777, found.isDirectory() ? 0o700 : 0o600);
      if (found.isFile()) assert.match(String(file), /\.(crt|key|secret|json)$/);
    }
  }
});

test('the hosts of a site share one secret, which an operator does not get', async (t) => {
  const { caDir } = await authority(t);
  const issued = (role: 'agent' | 'operator') => issue({ caDir, name: 'x', role, addresses: [] });
  const [one, other, operator] = [
    await issued('agent'),
    await issued('agent'),
    await issued('operator'),
  ];
  assert.match(one.siteSecret ?? '', /^[0-9a-f]{64}$/);
  assert.equal(other.siteSecret, one.siteSecret);
  assert.equal(operator.siteSecret, undefined);
});

test('a second CA does not replace the first', async (t) => {
  const caDir = path.join(tempDir(t), 'ca');
  const { cert } = await initCa(caDir);
  await assert.rejects(initCa(caDir), { code: 'GODWIT_PKI' });
  assert.equal(readFileSync(path.join(caDir, 'ca.crt'), 'utf8'), cert);
});

test('no certificate outlives its CA', async (t) => {
  const caDir = path.join(tempDir(t), 'ca');
  const { cert: ca } = await initCa(caDir);
  const late = await issue({ caDir, name: 'a', role: 'agent', addresses: [], days: 36_500 });
  assert.equal(new X509Certificate(late.cert).validTo, new X509Certificate(ca).validTo);
});

test('the hint is given if there is no CA', async (t) => {
  const caDir = tempDir(t);
  await assert.rejects(issue({ caDir, name: 'a', role: 'agent', addresses: [] }), {
    code: 'GODWIT_PKI',
    hint: /godwit pki init/,
  });
});

test('the lab gets a certificate per host and an operator, and later hosts are of the same CA', async (t) => {
  const dir = tempDir(t);
  const host = (name: string) => ({ name, pkiDir: path.join(dir, name), addresses: ['10.0.0.1'] });
  await issueLabPki(dir, [host('a'), host('b')]);
  const first = readFileSync(path.join(dir, 'a', 'ca.crt'), 'utf8');
  const { operatorDir } = await issueLabPki(dir, [host('c')]);
  assert.equal(readFileSync(path.join(dir, 'c', 'ca.crt'), 'utf8'), first);
  const operator = readFileSync(path.join(operatorDir, 'operator.crt'), 'utf8');
  assert.deepEqual(ownIdentity('operator.crt', operator), { name: 'operator', role: 'operator' });
});

test('a malformed signing request, or one not signed by its own key, is refused', async (t) => {
  const caDir = path.join(tempDir(t), 'ca');
  await initCa(caDir);
  const authority = {
    cert: readFileSync(path.join(caDir, 'ca.crt'), 'utf8'),
    key: readFileSync(path.join(caDir, 'ca.key'), 'utf8'),
  };
  const subject = { name: 'a', role: 'agent', addresses: [] } as const;
  const valid = { nowMs: Date.now(), days: 1 };
  const { request } = await makeRequest('a');
  const der = Buffer.from(request.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  for (const bad of ['', 'nonsense', request.slice(0, 200), forged]) {
    await assert.rejects(signRequest(authority, bad, subject, valid), { code: 'GODWIT_PKI' });
  }
  const cert = await signRequest(authority, request, subject, valid);
  const days = (Date.parse(new X509Certificate(cert).validTo) - valid.nowMs) / DAY_MS;
  assert.equal(Math.round(days), 1);
});
