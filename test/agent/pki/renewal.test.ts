import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { issue, storeCredentials } from '../../../src/pki/authority.ts';
import { changeList, heldBy } from '../../../src/pki/fleet-list.ts';
import { renewCertificate } from '../../../src/pki/issued.ts';
import { Renewal } from '../../../src/agent/pki/renewal.ts';
import { makeRequest } from '../../../src/pki/x509.ts';
import { agentConfig } from '../../../src/config.ts';
import { godwitError } from '../../../src/errors.ts';
import { hostCredentials, readPair } from '../../../src/host/credentials.ts';
import { silentLog, type Log } from '../../../src/log.ts';
import type { FleetList } from '../../../src/protocol/peer/fleet.ts';
import { authority, tempDir } from '../../rpc/test-contract.ts';
import { fleet } from '../samples.ts';

const DAY_MS = 86_400_000;

/** A clock that goes on only while a test waits, by no more than what is slept. */
class HandClock {
  nowMs = Date.now();
  #sleeper: { untilMs: number; wake: () => void } | undefined;
  wallMs = (): number => this.nowMs;
  monotonicMs = (): number => this.nowMs;

  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      this.#sleeper = { untilMs: this.nowMs + ms, wake: resolve };
      signal?.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
    });

  /** Goes on by days, from sleep to sleep. */
  async pass(days: number): Promise<void> {
    const endMs = this.nowMs + days * DAY_MS;
    while (this.nowMs < endMs) {
      while (this.#sleeper === undefined) await new Promise((resolve) => setImmediate(resolve));
      const { untilMs, wake } = this.#sleeper;
      this.#sleeper = undefined;
      // From look to look would be a thousand for each day.
      this.nowMs = Math.max(untilMs, Math.min(endMs, this.nowMs + DAY_MS / 24));
      wake();
    }
    while (this.#sleeper === undefined) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function scene(t: TestContext, days = 30) {
  const { caDir } = await authority(t);
  const stateDir = tempDir(t);
  const directory = path.join(stateDir, 'pki');
  const clock = new HandClock();
  storeCredentials(
    directory,
    await issue({ caDir, name: 'b', role: 'agent', addresses: [], days }),
  );
  const config = agentConfig.parse({ name: 'b', address: '127.0.0.1:0', stateDir });
  const ca = { isAway: false, losesAnswers: false, asked: 0, shown: [] as string[] };
  const said: string[] = [];
  const noting = (_facts: object, text: string): void => void said.push(text);
  const log = { ...silentLog, warn: noting, error: noting } as unknown as Log;
  const start = (): Renewal => {
    const renewal = new Renewal({
      config,
      clock,
      log,
      random: () => 0.5,
      fleet: { list: () => ({ holder: 'a' }) as FleetList },
      peers: {
        newerList: () => {
          const list = { signed: undefined };
          ca.shown.push(own().serialNumber);
          return Promise.resolve(list);
        },
        renew: async (holder, request) => {
          assert.equal(holder, 'a');
          ca.asked += 1;
          const facts = { peer: 'a', address: '', reason: 'test' };
          if (ca.isAway) throw godwitError('GODWIT_UNREACHABLE', facts);
          const shown = new X509Certificate(readPair(directory).cert);
          const answer = await renewCertificate(caDir, shown, request, clock.wallMs());
          if (ca.losesAnswers) throw godwitError('GODWIT_UNREACHABLE', facts);
          return answer;
        },
      },
    });
    t.after(() => renewal.close());
    renewal.start();
    return renewal;
  };
  const own = () => new X509Certificate(readPair(directory).cert);
  return { caDir, directory, config, clock, ca, said, start, own };
}

test('a host has a new key and certificate with a third of the life left, each time', async (t) => {
  const { clock, start, own, ca, directory, config } = await scene(t);
  const { current } = hostCredentials(config);
  const renewal = start();
  const seen = [own()];
  await clock.pass(18);
  assert.equal(own().serialNumber, seen[0]?.serialNumber);
  for (const days of [2, 20, 20, 20]) {
    await clock.pass(days);
    seen.push(own());
    assert.ok(own().validToDate.getTime() > clock.nowMs + 19 * DAY_MS);
    assert.equal(current!().cert, readPair(directory).cert);
  }
  assert.equal(new Set(seen.map(({ serialNumber }) => serialNumber)).size, seen.length);
  const keys = seen.map(({ publicKey }) => JSON.stringify(publicKey.export({ format: 'jwk' })));
  assert.equal(new Set(keys).size, seen.length);
  assert.equal(ca.asked, 4);
  // Each new one is shown to the CA, which ends the one before it.
  assert.deepEqual(
    ca.shown,
    seen.slice(1).map(({ serialNumber }) => serialNumber),
  );
  assert.equal(renewal.failed.count, 0);
  assert.deepEqual(readdirSync(directory).toSorted(), [
    'ca.crt',
    'host.crt',
    'host.key',
    'site.secret',
  ]);
  assert.equal(statSync(path.join(directory, 'host.key')).mode & 0o777, 0o600);
});

test('a CA that is away for days is asked with longer and longer pauses, and the host catches up', async (t) => {
  const { clock, start, own, ca, said } = await scene(t);
  ca.isAway = true;
  const first = own().serialNumber;
  const renewal = start();
  await clock.pass(28);
  assert.equal(own().serialNumber, first);
  assert.ok(renewal.failed.count > 10 && renewal.failed.count < 120, `${renewal.failed.count}`);
  assert.equal(renewal.failed.why?.code, 'GODWIT_UNREACHABLE');
  assert.equal(said.length, renewal.failed.count);
  ca.isAway = false;
  await clock.pass(0.5);
  assert.notEqual(own().serialNumber, first);
  assert.equal(renewal.failed.count, 0);
});

test('a lost answer does no harm: the same key is signed again, even by a restarted agent', async (t) => {
  const { clock, start, own, ca } = await scene(t);
  ca.losesAnswers = true;
  const renewal = start();
  await clock.pass(21);
  assert.ok(renewal.failed.count > 0);
  renewal.close();
  ca.losesAnswers = false;
  const again = start();
  await clock.pass(0.5);
  assert.equal(again.failed.count, 0);
  assert.ok(own().validToDate.getTime() > clock.nowMs + 27 * DAY_MS);
});

test('a host whose certificate was renewed by another party reports it, and continues with its own', async (t) => {
  const { caDir, clock, start, own, said } = await scene(t);
  const { request } = await makeRequest('b');
  await renewCertificate(caDir, own(), request, clock.nowMs + 16 * DAY_MS);
  const renewal = start();
  await clock.pass(21);
  assert.equal(renewal.failed.why?.code, 'GODWIT_CERT_SUPERSEDED');
  assert.ok(said.some((text) => /CA rejects the certificate of b/.test(text)));
});

test('an agent that ended between the new key and its certificate completes the renewal', async (t) => {
  const { caDir, directory, start, clock, own } = await scene(t);
  const next = await issue({ caDir, name: 'b', role: 'agent', addresses: [], days: 30 });
  writeFileSync(path.join(directory, 'host.crt.next'), next.cert);
  writeFileSync(path.join(directory, 'renewal.key'), next.key);
  renameSync(path.join(directory, 'renewal.key'), path.join(directory, 'host.key'));
  start();
  assert.equal(existsSync(path.join(directory, 'host.crt.next')), false);
  assert.equal(own().serialNumber, new X509Certificate(next.cert).serialNumber);
  await clock.pass(21);
  assert.ok(own().validToDate.getTime() > clock.nowMs + 28 * DAY_MS);
});

test('a one-year certificate of an earlier build is exchanged within minutes of the start', async (t) => {
  const { caDir, clock, start, own, ca } = await scene(t, 365);
  changeList(caDir, heldBy({ name: 'a', address: '10.0.0.1:1', addresses: [] }), clock.nowMs);
  renameSync(path.join(caDir, 'issued'), path.join(caDir, 'gone'));
  start();
  await clock.pass(0.1);
  assert.ok(own().validToDate.getTime() < clock.nowMs + 31 * DAY_MS);
  await clock.pass(10);
  assert.equal(ca.asked, 1);
});

test('the agent with the CA renews for every holder of the certificate, and no other agent does', async (t) => {
  const { host, as, caDir } = await fleet(t);
  const peers = { b: { address: '127.0.0.1:1' } };
  const a = await host('a', { holdsCa: true, peers });
  const c = await host('c', { peers });
  const asB = await as('b', 'agent', a);
  const { request } = await makeRequest('b');
  assert.deepEqual(await asB.renew({ body: { request } }), {});
  renameSync(path.join(caDir, 'issued', 'agent-b.json'), path.join(caDir, 'issued', 'gone'));
  const { certificate } = await asB.renew({ body: { request } });
  assert.match(new X509Certificate(certificate ?? '').subject, /CN=b\nOU=agent/);
  const toC = await as('b', 'agent', c);
  await assert.rejects(toC.renew({ body: { request } }), {
    code: 'GODWIT_PKI',
    message: /c does not/,
  });
  // A person may ask, too; whoever shows none, over the host's own socket, may not.
  const ann = await as('ann', 'operator', a);
  assert.deepEqual(await ann.renew({ body: { request } }), {});
  await assert.rejects(a.api.renew({ body: { request } }), { code: 'GODWIT_PEER_UNTRUSTED' });
});
