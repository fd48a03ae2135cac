import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { readAuthorities, readPair } from '../../../src/host/credentials.ts';
import { pkiDirOf } from '../../../src/host/fleet.ts';
import { issue, storeCredentials } from '../../../src/pki/authority.ts';
import { latestList } from '../../../src/pki/fleet-list.ts';
import { join } from '../../../src/pki/join.ts';
import { renewPerson } from '../../../src/pki/renew-person.ts';
import {
  cancelRotation,
  finishRotation,
  lackingFor,
  rotationOf,
  startRotation,
  switchIssuing,
} from '../../../src/pki/rotation.ts';
import { makeToken } from '../../../src/pki/token.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { client } from '../../../src/rpc/client.ts';
import { readCredentials } from '../../../src/rpc/tls.ts';
import { issuerAmong } from '../../../src/rpc/trust-bundle.ts';
import { authority, tempDir } from '../../rpc/test-contract.ts';
import type { TestHost } from '../samples.ts';
import { three, trustedBy, untilRotated as untilSo } from './rotating.ts';

/** A call over a connection of its own, with the files of the caller as they are now. */
async function calls(pkiDir: string, to: TestHost, stem = 'host'): Promise<string> {
  const { api, close } = client(agentContract, {
    address: to.agent.address,
    credentials: readCredentials(pkiDir, stem),
    expectedName: to.config.name,
  });
  try {
    return (await api.host()).name;
  } finally {
    close();
  }
}

/** Every host calls every other one, over new connections, until `stop`; the first failure is thrown there. */
function talking(hosts: readonly TestHost[]) {
  let stopped = false;
  let rounds = 0;
  const all = (async () => {
    while (!stopped) {
      for (const from of hosts) {
        for (const to of hosts) if (from !== to) await calls(pkiDirOf(from.config), to);
      }
      rounds += 1;
    }
  })();
  all.catch(() => {});
  return {
    stop: async () => {
      stopped = true;
      await all;
      return rounds;
    },
  };
}

test('a rotation keeps all hosts talking, and ends with one CA that each of them uses', async (t) => {
  const { caDir, a, b, hosts } = await three(t);
  const old = rotationOf(caDir).fingerprint;
  const talk = talking(hosts);
  const { fingerprint: next } = await startRotation(caDir, Date.now());
  await untilSo(() => hosts.every((host) => trustedBy(host).includes(next)));
  assert.deepEqual(lackingFor('switch', await a.api.caRotation()), []);
  switchIssuing(caDir, Date.now());
  await untilSo(async () => lackingFor('finish', await a.api.caRotation()).length === 0);
  const { members, stage } = await a.api.caRotation();
  assert.equal(stage, 'renewing');
  assert.deepEqual(
    members.map(({ name, issuer }) => [name, issuer]),
    ['a', 'b', 'c'].map((name) => [name, next]),
  );
  assert.deepEqual(finishRotation(caDir, Date.now()), [old]);
  await untilSo(() => hosts.every((host) => trustedBy(host).join() === next));
  assert.ok((await talk.stop()) > 0);
  // As it is on disk, too: the list of before is not one that a new process cannot read.
  const again = await b.again();
  assert.equal((await again.api.hosts()).hosts.length, 3);
});

test('after the end a certificate of the old CA is refused, even on a connection that stands', async (t) => {
  const { caDir, a, hosts } = await three(t);
  const folder = path.join(tempDir(t), 'ann');
  const person = { caDir, name: 'ann', role: 'operator', addresses: [] } as const;
  storeCredentials(folder, await issue(person), 'operator');
  const standing = client(agentContract, {
    address: a.agent.address,
    credentials: readCredentials(folder, 'operator'),
    expectedName: 'a',
  });
  t.after(() => standing.close());
  assert.equal((await standing.api.host()).name, 'a');
  const { fingerprint: next } = await startRotation(caDir, Date.now());
  await untilSo(() => hosts.every((host) => trustedBy(host).includes(next)));
  const named = lackingFor('switch', await a.api.caRotation());
  assert.deepEqual(named, [
    { name: 'ann', role: 'operator', why: 'it does not trust the new CA yet' },
  ]);
  switchIssuing(caDir, Date.now());
  const isRenewed = async () =>
    lackingFor('finish', await a.api.caRotation()).every(({ name }) => name === 'ann');
  await untilSo(isRenewed);
  assert.deepEqual(lackingFor('finish', await a.api.caRotation()), [
    { name: 'ann', role: 'operator', why: 'its certificate is of the old CA' },
  ]);
  assert.equal((await standing.api.host()).name, 'a');
  finishRotation(caDir, Date.now());
  await untilSo(() => hosts.every((host) => trustedBy(host).join() === next));
  await assert.rejects(standing.api.host(), {
    code: 'GODWIT_PEER_UNTRUSTED',
    message: /not from our CA any more/,
  });
  await assert.rejects(calls(folder, a, 'operator'), { code: 'GODWIT_PEER_UNTRUSTED' });
});

test('a person gets the new CA and then a certificate of it by renewing, and never the old CA back', async (t) => {
  const { caDir, a, hosts } = await three(t);
  const folder = path.join(tempDir(t), 'ann');
  const person = { caDir, name: 'ann', role: 'operator', addresses: [] } as const;
  storeCredentials(folder, await issue(person), 'operator');
  const old = rotationOf(caDir).fingerprint;
  const renew = () => renewPerson(folder, { address: a.agent.address, name: 'a' });
  const trusts = () => readAuthorities(folder).map(({ fingerprint }) => fingerprint);
  const { fingerprint: next } = await startRotation(caDir, Date.now());
  await untilSo(() => hosts.every((host) => trustedBy(host).includes(next)));
  assert.equal((await renew()).renewed, false);
  assert.deepEqual(trusts(), [old, next]);
  assert.deepEqual(lackingFor('switch', await a.api.caRotation()), []);
  switchIssuing(caDir, Date.now());
  await untilSo(() => trustedBy(a)[0] === next);
  assert.equal((await renew()).renewed, true);
  assert.deepEqual(trusts(), [next, old]);
  await untilSo(async () => lackingFor('finish', await a.api.caRotation()).length === 0);
  const overlap = readFileSync(path.join(folder, 'fleet.json'), 'utf8');
  finishRotation(caDir, Date.now());
  await untilSo(() => hosts.every((host) => trustedBy(host).join() === next));
  assert.equal(await calls(folder, a, 'operator'), 'a');
  await renew();
  assert.deepEqual(trusts(), [next]);
  assert.notEqual(readFileSync(path.join(folder, 'fleet.json'), 'utf8'), overlap);
});

test('a host that missed the new CA keeps `switch` back by name, and loses nothing by a forced end', async (t) => {
  const { caDir, a, b, c } = await three(t);
  await c.agent.close();
  const { fingerprint: next } = await startRotation(caDir, Date.now());
  await untilSo(() => [a, b].every((host) => trustedBy(host).includes(next)));
  const [lacking, ...others] = lackingFor('switch', await a.api.caRotation());
  assert.deepEqual([lacking?.name, lacking?.role, others], ['c', 'agent', []]);
  assert.match(lacking?.why ?? '', /^its state is unknown: /);
  // What an operator forces: c misses the whole rotation.
  switchIssuing(caDir, Date.now());
  await untilSo(async () =>
    lackingFor('finish', await a.api.caRotation()).every(({ name }) => name === 'c'),
  );
  const [late] = lackingFor('finish', await a.api.caRotation());
  assert.equal(late?.name, 'c');
  finishRotation(caDir, Date.now());
  await untilSo(() => [a, b].every((host) => trustedBy(host).join() === next));
  const before = readPair(pkiDirOf(c.config));
  const again = await c.again();
  await assert.rejects(calls(pkiDirOf(c.config), a), { code: 'GODWIT_PEER_UNTRUSTED' });
  assert.equal((await again.api.host()).name, 'c');
  assert.deepEqual(readPair(pkiDirOf(c.config)), before);
});

test('a join token names the CA that issues: the switch ends earlier tokens, and later ones work', async (t) => {
  const { caDir, a, hosts } = await three(t);
  const tokenFor = (name: string) => {
    const asked = { caDir, name, role: 'agent', addresses: ['127.0.0.1'] } as const;
    return makeToken({ ...asked, agent: a.agent.address, validMs: 3_600_000 }, Date.now());
  };
  const { fingerprint: next } = await startRotation(caDir, Date.now());
  await untilSo(() => hosts.every((host) => trustedBy(host).includes(next)));
  const during = tempDir(t);
  await join(tokenFor('d'), during);
  assert.equal(readAuthorities(during).length, 2);
  const unused = tokenFor('e');
  assert.deepEqual(switchIssuing(caDir, Date.now()), ['e']);
  const own = () => new X509Certificate(readPair(pkiDirOf(a.config)).cert);
  await untilSo(() => issuerAmong(readAuthorities(caDir), own())?.fingerprint === next);
  const refused = { code: 'GODWIT_PEER_UNTRUSTED', hint: /godwit invite/ };
  await assert.rejects(join(unused, tempDir(t)), refused);
  const after = tempDir(t);
  await join(tokenFor('f'), after);
  assert.equal(readAuthorities(after)[0].fingerprint, next);
  assert.ok(existsSync(path.join(after, 'host.crt')));
});

test('a step that was cut short is completed by the same step', async (t) => {
  const { caDir } = await authority(t);
  const old = rotationOf(caDir).fingerprint;
  const { fingerprint: next, pem } = await startRotation(caDir, Date.now());
  assert.equal(rotationOf(caDir).stage, 'distributing');
  // Cut short before ca.crt had the new CA: no second CA is made.
  const oldPem = rotationOf(caDir).cert;
  writeFileSync(path.join(caDir, 'ca.crt'), oldPem);
  assert.throws(() => switchIssuing(caDir, Date.now()), { hint: /rotate-ca start/ });
  assert.equal((await startRotation(caDir, Date.now())).fingerprint, next);
  assert.equal(rotationOf(caDir).fingerprint, old);
  // Cut short right after the keys were exchanged.
  renameSync(path.join(caDir, 'next/ca.key'), path.join(caDir, 'ca.key'));
  assert.equal(rotationOf(caDir).stage, 'renewing');
  switchIssuing(caDir, Date.now());
  assert.equal(latestList(caDir)?.list.authorities?.[0], pem);
  assert.equal(existsSync(path.join(caDir, 'next')), false);
  await assert.rejects(startRotation(caDir, Date.now()), { hint: /rotate-ca finish/ });
  assert.throws(() => cancelRotation(caDir, Date.now()), { code: 'GODWIT_PKI' });
  assert.deepEqual(finishRotation(caDir, Date.now()), [old]);
  assert.throws(() => finishRotation(caDir, Date.now()), { hint: /rotate-ca start/ });
  assert.throws(() => switchIssuing(caDir, Date.now()), { hint: /rotate-ca start/ });
  const one = rotationOf(caDir);
  assert.deepEqual([one.stage, one.fingerprint, one.authorities.length], ['idle', next, 1]);
});

test('a rotation that has issued nothing can be cancelled', async (t) => {
  const { caDir, a, hosts } = await three(t);
  const old = rotationOf(caDir).fingerprint;
  const { fingerprint: next } = await startRotation(caDir, Date.now());
  await untilSo(() => hosts.every((host) => trustedBy(host).includes(next)));
  cancelRotation(caDir, Date.now());
  await untilSo(() => hosts.every((host) => trustedBy(host).join() === old));
  assert.equal((await a.api.caRotation()).stage, 'idle');
  assert.notEqual((await startRotation(caDir, Date.now())).fingerprint, next);
});
