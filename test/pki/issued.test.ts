import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { issue } from '../../src/pki/authority.ts';
import {
  changeList,
  heldBy,
  latestList,
  withoutHost,
  withoutName,
} from '../../src/pki/fleet-list.ts';
import { endReplaced, renewCertificate } from '../../src/pki/issued.ts';
import { makeRequest } from '../../src/pki/x509.ts';
import { revokedSince } from '../../src/protocol/peer/fleet.ts';
import { authority } from '../rpc/test-contract.ts';

const DAY_MS = 86_400_000;
const held = heldBy({ name: 'a', address: '10.0.0.1:7443', addresses: [] });
const later = (days: number) => Date.now() + days * DAY_MS;
const certificate = (pem: string) => new X509Certificate(pem);
const daysOf = (pem: string, nowMs: number) =>
  Math.round((certificate(pem).validToDate.getTime() - nowMs) / DAY_MS);

test('a renewal is for the same name, role and addresses, of a new key, and for as long as before', async (t) => {
  const { caDir } = await authority(t);
  const addresses = ['10.0.0.2', 'fd00::2', 'b.example'];
  const first = await issue({ caDir, name: 'b', role: 'agent', addresses, days: 9 });
  const { request } = await makeRequest('somebody-else');
  const nowMs = later(7);
  const { certificate: pem = '' } = await renewCertificate(
    caDir,
    certificate(first.cert),
    request,
    nowMs,
  );
  const renewed = certificate(pem);
  assert.equal(renewed.subject, 'CN=b\nOU=agent\nO=Godwit');
  assert.equal(renewed.subjectAltName, certificate(first.cert).subjectAltName);
  assert.notDeepEqual(
    renewed.publicKey.export({ format: 'jwk' }),
    certificate(first.cert).publicKey.export({ format: 'jwk' }),
  );
  assert.equal(daysOf(pem, nowMs), 9);
});

test('hosts get a certificate for thirty days if an agent has the CA next to it, else for a year', async (t) => {
  const { caDir } = await authority(t);
  const host = { caDir, name: 'b', role: 'agent', addresses: [] } as const;
  assert.equal(daysOf((await issue(host)).cert, Date.now()), 365);
  changeList(caDir, held, Date.now());
  assert.equal(daysOf((await issue(host)).cert, Date.now()), 30);
  assert.equal(daysOf((await issue({ ...host, days: 90 })).cert, Date.now()), 90);
  const person = { ...host, name: 'ann', role: 'operator' } as const;
  assert.equal(daysOf((await issue(person)).cert, Date.now()), 365);
});

test('a one-year certificate of an earlier build is exchanged for one of thirty days', async (t) => {
  const { caDir } = await authority(t);
  const old = await issue({ caDir, name: 'b', role: 'agent', addresses: [] });
  rmSync(path.join(caDir, 'issued'), { recursive: true });
  changeList(caDir, held, Date.now());
  const { request } = await makeRequest('b');
  const renewed = await renewCertificate(caDir, certificate(old.cert), request, Date.now());
  assert.equal(daysOf(renewed.certificate ?? '', Date.now()), 30);
  const again = (await makeRequest('b')).request;
  const kept = await renewCertificate(
    caDir,
    certificate(renewed.certificate ?? ''),
    again,
    Date.now(),
  );
  assert.deepEqual(kept, { name: 'b' });
});

test('an old certificate renews nothing, but a lost answer is sent again', async (t) => {
  const { caDir } = await authority(t);
  const old = await issue({ caDir, name: 'b', role: 'agent', addresses: [], days: 30 });
  const shown = certificate(old.cert);
  const [mine, other] = [await makeRequest('b'), await makeRequest('b')];
  const nowMs = later(21);
  const first = await renewCertificate(caDir, shown, mine.request, nowMs);
  assert.deepEqual(await renewCertificate(caDir, shown, mine.request, nowMs), first);
  await assert.rejects(renewCertificate(caDir, shown, other.request, nowMs), {
    code: 'GODWIT_CERT_SUPERSEDED',
    message: /^b requested a certificate with an outdated one/,
    hint: /pki revoke b/,
  });
});

test('older certificates are invalid once a renewed one was used, and valid until then', async (t) => {
  const { caDir } = await authority(t);
  changeList(caDir, held, Date.now());
  const host = { caDir, name: 'b', role: 'agent', addresses: [], days: 30 } as const;
  const chain = [certificate((await issue(host)).cert)];
  const person = await issue({ ...host, role: 'operator' });
  const counts = (shown: X509Certificate, role: 'agent' | 'operator' = 'agent') => {
    const { serialNumber: serial, validFromDate } = shown;
    const list = latestList(caDir)!.list;
    const reported = { name: 'b', role, serial, validFromMs: validFromDate.getTime() };
    return revokedSince(list, reported) === undefined;
  };
  assert.equal(endReplaced(caDir, chain[0]!, later(0)), false);
  for (let round = 1; round < 4; round += 1) {
    const last = chain.at(-1)!;
    const { request } = await makeRequest('b');
    const nowMs = last.validFromDate.getTime() + 21 * DAY_MS;
    const { certificate: pem = '' } = await renewCertificate(caDir, last, request, nowMs);
    const next = certificate(pem);
    // Whoever shows an older one ends nothing.
    assert.equal(endReplaced(caDir, last, nowMs), false);
    assert.deepEqual([counts(last), counts(next)], [true, true]);
    assert.equal(endReplaced(caDir, next, nowMs), true);
    assert.equal(endReplaced(caDir, next, nowMs), false);
    chain.push(next);
    for (const old of chain.slice(0, -1)) assert.equal(counts(old), false);
    assert.equal(counts(next), true);
    assert.equal(counts(certificate(person.cert), 'operator'), true);
    assert.equal(latestList(caDir)?.list.renewed?.length, 1);
  }
  const anew = await issue(host);
  assert.equal(counts(certificate(anew.cert)), true);
});

test('only one of two simultaneous requests with one certificate gets a new one', async (t) => {
  const { caDir } = await authority(t);
  const { cert } = await issue({ caDir, name: 'b', role: 'agent', addresses: [], days: 30 });
  const requests = [await makeRequest('b'), await makeRequest('b')];
  const answers = await Promise.allSettled(
    requests.map(({ request }) => renewCertificate(caDir, certificate(cert), request, later(21))),
  );
  assert.deepEqual(
    answers.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
});

test('a revoked or removed certificate is not renewed, and one issued afterwards is', async (t) => {
  const { caDir } = await authority(t);
  const host = { caDir, role: 'agent', addresses: [], days: 30 } as const;
  const [b, c] = [await issue({ ...host, name: 'b' }), await issue({ ...host, name: 'c' })];
  changeList(caDir, withoutName('b'), Date.now());
  changeList(caDir, withoutHost('c'), Date.now());
  const { request } = await makeRequest('b');
  for (const { cert } of [b, c]) {
    await assert.rejects(renewCertificate(caDir, certificate(cert), request, later(21)), {
      code: 'GODWIT_CERT_REVOKED',
    });
  }
  const anew = await issue({ ...host, name: 'b' });
  const { certificate: pem } = await renewCertificate(
    caDir,
    certificate(anew.cert),
    request,
    later(21),
  );
  assert.ok(pem !== undefined);
});

test('a bad request changes nothing, and a damaged record is named with a remedy', async (t) => {
  const { caDir } = await authority(t);
  const { cert } = await issue({ caDir, name: 'b', role: 'agent', addresses: [], days: 30 });
  const file = path.join(caDir, 'issued', 'agent-b.json');
  assert.ok(existsSync(file));
  await assert.rejects(renewCertificate(caDir, certificate(cert), 'nonsense', later(21)), {
    code: 'GODWIT_PKI',
  });
  const { request } = await makeRequest('b');
  writeFileSync(file, '{"serial":1}');
  await assert.rejects(renewCertificate(caDir, certificate(cert), request, later(21)), {
    code: 'GODWIT_PKI',
    message: /agent-b\.json/,
    hint: /Remove it/,
  });
});
