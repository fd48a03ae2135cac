import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { readAuthorities } from '../../../src/host/credentials.ts';
import { pkiDirOf } from '../../../src/host/fleet.ts';
import { issue, storeCredentials } from '../../../src/pki/authority.ts';
import { latestList } from '../../../src/pki/fleet-list.ts';
import { join } from '../../../src/pki/join.ts';
import { renewPerson } from '../../../src/pki/renew-person.ts';
import {
  finishRotation,
  lackingFor,
  startRotation,
  switchIssuing,
} from '../../../src/pki/rotation.ts';
import { silentLog } from '../../../src/log.ts';
import { makeToken, redeemToken } from '../../../src/pki/token.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { client } from '../../../src/rpc/client.ts';
import { listenTls } from '../../../src/rpc/listen.ts';
import { serve, type Handlers } from '../../../src/rpc/server.ts';
import { readCredentials } from '../../../src/rpc/tls.ts';
import { listWith, signed } from '../../host/fleet-lists.ts';
import { authority, hello as sayHello, tempDir } from '../../rpc/test-contract.ts';
import type { TestHost } from '../samples.ts';
import { three, trustedBy, untilRotated as untilSo } from './rotating.ts';

test('a host can bring no CA in and none back', async (t) => {
  const { caDir, a, b, c, hosts } = await three(t);
  const asB = client(agentContract, {
    address: a.agent.address,
    credentials: readCredentials(pkiDirOf(b.config)),
    expectedName: 'a',
  });
  t.after(() => asB.close());
  const evil = await authority(t);
  const evilPem = readFileSync(path.join(evil.caDir, 'ca.crt'), 'utf8');
  const ownPem = readFileSync(path.join(caDir, 'ca.crt'), 'utf8');
  const number = (latestList(caDir)?.list.number ?? 0) + 100;
  const offers = [
    // Signed by the CA that it names, by a host's key, and by the CA for another text.
    signed(evil.caDir, listWith({ number, authorities: [ownPem, evilPem] })),
    { ...signed(evil.caDir, listWith({ number, authorities: [evilPem] })) },
    {
      ...signed(evil.caDir, listWith({ number, authorities: [ownPem, evilPem] })),
      signature: latestList(caDir)?.signed.signature ?? '',
    },
  ];
  for (const body of offers)
    await assert.rejects(asB.api.offerList({ body }), { code: 'GODWIT_PKI' });
  // The CA itself cannot name CAs without itself: its list could not be checked any more.
  const cutOff = signed(caDir, listWith({ number, authorities: [evilPem] }));
  await assert.rejects(asB.api.offerList({ body: cutOff }), { code: 'GODWIT_PKI' });
  const { fingerprint: next } = await startRotation(caDir, Date.now());
  const overlap = latestList(caDir)?.signed;
  await untilSo(() => hosts.every((host) => trustedBy(host).includes(next)));
  switchIssuing(caDir, Date.now());
  await untilSo(async () => lackingFor('finish', await a.api.caRotation()).length === 0);
  const renewing = latestList(caDir)?.signed;
  finishRotation(caDir, Date.now());
  await untilSo(() => hosts.every((host) => trustedBy(host).join() === next));
  const asC = client(agentContract, {
    address: a.agent.address,
    credentials: readCredentials(pkiDirOf(c.config)),
    expectedName: 'a',
  });
  t.after(() => asC.close());
  // Lists of the overlap name the old CA: one is not signed by a CA of now, the other one is too old.
  assert.ok(overlap && renewing);
  await assert.rejects(asC.api.offerList({ body: overlap }), { code: 'GODWIT_PKI' });
  await asC.api.offerList({ body: renewing });
  assert.deepEqual(trustedBy(a), [next]);
});

/** A host of the fleet that was taken over: it answers what it likes. */
async function takenOver(
  t: TestContext,
  { config }: TestHost,
  answers: Pick<Handlers<typeof agentContract>, 'authorities' | 'renew' | 'join'>,
): Promise<string> {
  const { hello, authorities, renew, join: joining } = agentContract;
  const handlers = { hello: () => ({ ...sayHello, name: config.name }), ...answers };
  const contract = { hello, authorities, renew, join: joining };
  const listener = serve(contract, handlers, { name: config.name, log: silentLog });
  const credentials = readCredentials(pkiDirOf(config));
  const listening = await listenTls(listener, { address: '127.0.0.1:0' }, credentials, {
    log: silentLog,
  });
  t.after(() => listening.close());
  return listening.address;
}

test('a host that was taken over gives no CA to whom it answers a join or a renewal', async (t) => {
  const { caDir, a, b, hosts } = await three(t);
  const folder = path.join(tempDir(t), 'ann');
  const person = { caDir, name: 'ann', role: 'operator', addresses: [] } as const;
  const { fingerprint: next } = await startRotation(caDir, Date.now());
  await untilSo(() => hosts.every((host) => trustedBy(host).includes(next)));
  switchIssuing(caDir, Date.now());
  await untilSo(async () => lackingFor('finish', await a.api.caRotation()).length === 0);
  const renewing = latestList(caDir)?.signed;
  finishRotation(caDir, Date.now());
  await untilSo(() => hosts.every((host) => trustedBy(host).join() === next));
  storeCredentials(folder, await issue(person), 'operator');
  await renewPerson(folder, { address: a.agent.address, name: 'a' });
  const evil = await authority(t);
  const [evilPem, ownPem] = [evil.caDir, caDir].map((dir) =>
    readFileSync(path.join(dir, 'ca.crt'), 'utf8'),
  ) as [string, string];
  const forged = signed(evil.caDir, listWith({ number: 9999, authorities: [ownPem, evilPem] }));
  let offered = renewing;
  let isForging = false;
  const address = await takenOver(t, b, {
    authorities: () => (offered === undefined ? {} : { signed: offered }),
    renew: () => ({}),
    // What the CA would answer, with a CA of its own beside it.
    join: async ({ body }) => {
      const answer = await redeemToken(caDir, body.token, body.request, Date.now());
      const { name: _name, ...rest } = answer;
      return { ...rest, ca: `${answer.ca}${evilPem}`, ...(isForging && { fleet: forged }) };
    },
  });
  // An old list is older than the one that ann has; a forged one is not signed by a CA of now.
  await renewPerson(folder, { address, name: 'b' });
  offered = forged;
  await assert.rejects(renewPerson(folder, { address, name: 'b' }), { code: 'GODWIT_PKI' });
  assert.deepEqual(
    readAuthorities(folder).map(({ fingerprint }) => fingerprint),
    [next],
  );
  const asked = { caDir, name: 'd', role: 'agent', addresses: ['127.0.0.1'] } as const;
  const token = () => makeToken({ ...asked, agent: address, validMs: 3_600_000 }, Date.now());
  const joined = tempDir(t);
  await join(token(), joined);
  assert.equal(readFileSync(path.join(joined, 'ca.crt'), 'utf8').trim(), ownPem.trim());
  isForging = true;
  const refused = tempDir(t);
  await assert.rejects(join(token(), refused), { code: 'GODWIT_PKI' });
  assert.equal(existsSync(path.join(refused, 'ca.crt')), false);
});
