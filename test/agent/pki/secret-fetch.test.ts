import assert from 'node:assert/strict';
import { existsSync, rmSync, statSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { changeList, latestList, withoutHost } from '../../../src/pki/fleet-list.ts';
import { SecretFetch } from '../../../src/agent/pki/secret-fetch.ts';
import { rotateSecret, secretId, secretIn, writeSecret } from '../../../src/pki/site-secret.ts';
import { agentConfig } from '../../../src/config.ts';
import { siteSecret, siteSecrets } from '../../../src/host/wire.ts';
import { silentLog } from '../../../src/log.ts';
import type { FleetList } from '../../../src/protocol/peer/fleet.ts';
import { authority, tempDir } from '../../rpc/test-contract.ts';
import { untilSo } from '../../until.ts';
import { fleet } from '../samples.ts';

const OLD = 'ab'.repeat(32);
const NEW = 'cd'.repeat(32);

/** A host that has the old secret, in a fleet whose list names the new one. */
function host(t: TestContext, others: Record<string, string | undefined>, given: object = {}) {
  const stateDir = tempDir(t);
  const pki = path.join(stateDir, 'pki');
  const config = agentConfig.parse({ name: 'b', address: '127.0.0.1:0', stateDir, ...given });
  writeSecret(pki, OLD);
  const asked: string[] = [];
  const fetch = new SecretFetch({
    config,
    log: silentLog,
    fleet: { list: () => ({ secret: secretId(NEW), holder: 'a' }) as FleetList },
    peers: {
      siteSecret: (name) => {
        asked.push(name);
        if (!(name in others)) return Promise.reject(new Error('away'));
        return Promise.resolve({ secret: others[name] });
      },
    },
  });
  return { fetch, pki, asked, config };
}

test("a host fetches the secret that the list names, first from the CA's host", async (t) => {
  const { fetch, pki, asked, config } = host(t, { a: NEW, c: NEW });
  await fetch.look('c');
  assert.deepEqual(asked, ['a']);
  assert.equal(secretIn(pki), NEW);
  assert.equal(siteSecret(config)?.toString('hex'), NEW);
  assert.equal(statSync(path.join(pki, 'site.secret')).mode & 0o777, 0o600);
  await fetch.look('c');
  assert.deepEqual(asked, ['a'], 'it has it');
  assert.deepEqual(fetch.named(secretId(NEW)), { secret: NEW });
  assert.deepEqual(fetch.named(secretId(OLD)), {});
});

test('the replaced secret stays valid for seven days next to the new one, and is then removed', async (t) => {
  const { fetch, pki, config } = host(t, { a: NEW });
  await fetch.look();
  const both = (): string[] => siteSecrets(config).map((each) => each.toString('hex'));
  assert.deepEqual(both(), [NEW, OLD]);
  const file = path.join(pki, 'site.secret.before');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  await fetch.look();
  assert.deepEqual(both(), [NEW, OLD]);
  const long = Date.now() / 1000 - 7 * 86_400 - 1;
  utimesSync(file, long, long);
  assert.deepEqual(both(), [NEW]);
  await fetch.look();
  assert.equal(existsSync(file), false);
});

test("another host hands on the secret if the CA's host is away", async (t) => {
  const { fetch, pki, asked } = host(t, { c: NEW });
  await fetch.look('c');
  assert.deepEqual(asked, ['a', 'c']);
  assert.equal(secretIn(pki), NEW);
});

test('a secret that the list does not name is not taken from any host', async (t) => {
  const { fetch, pki } = host(t, { a: undefined, c: 'ef'.repeat(32) });
  await fetch.look('c');
  assert.equal(secretIn(pki), OLD);
});

test('a file that the configuration names is left alone', async (t) => {
  const { fetch, asked } = host(t, { a: NEW }, { cache: { secretFile: '/etc/godwit/secret' } });
  await fetch.look('c');
  assert.deepEqual(asked, []);
});

test('a rotated secret is a different one, by its id in the signed list alone', async (t) => {
  const { caDir } = await authority(t);
  writeSecret(caDir, OLD);
  const { id, number } = rotateSecret(caDir, Date.now());
  const secret = secretIn(caDir) ?? '';
  assert.match(secret, /^[0-9a-f]{64}$/);
  assert.notEqual(secret, OLD);
  assert.equal(secretId(secret), id);
  const { list, signed } = latestList(caDir)!;
  assert.deepEqual([list.number, list.secret], [number, id]);
  assert.ok(!signed.list.includes(secret));
  rmSync(path.join(caDir, 'ca.key'));
  assert.throws(() => rotateSecret(caDir, Date.now()), { code: 'GODWIT_PKI' });
  assert.equal(secretIn(caDir), secret);
});

test('every host of the fleet gets a rotated secret, and a removed host does not', async (t) => {
  const one = await fleet(t);
  const a = await one.host('a', { holdsCa: true, peers: { c: { address: '127.0.0.1:1' } } });
  const before = secretIn(path.join(a.config.stateDir, 'pki'));
  const c = await one.as('c', 'agent', a);
  changeList(one.caDir, withoutHost('c'), Date.now());
  const { id } = rotateSecret(one.caDir, Date.now());
  const b = await one.host('b', { peers: { a: { address: a.agent.address } } });
  const secret = secretIn(one.caDir);
  assert.notEqual(secret, before);
  for (const { config } of [a, b]) {
    await untilSo(() => secretIn(path.join(config.stateDir, 'pki')) === secret);
  }
  await assert.rejects(c.siteSecret({ query: { id } }), { code: 'GODWIT_CERT_REVOKED' });
});
