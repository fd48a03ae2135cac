import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { issue, storeCredentials } from '../../src/pki/authority.ts';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { runCommand } from '../../lab/command.ts';
import { inHost } from '../../lab/entry.ts';
import { labHost } from '../../lab/state.ts';
import { startBareGuest } from './support/bare-guest.ts';
import { assertSays, move, refusalOf } from './support/moves.ts';
import {
  agentAddress,
  callFrom,
  hostIdentity,
  type Answer,
  type Identity,
} from './support/peers.ts';
import { openWorld, type World } from './support/world.ts';
import { until } from '../until.ts';

const GODWIT = path.resolve(import.meta.dirname, '../../src/bin/godwit.ts');

describe('the fleet’s list', () => {
  let world: World;

  before(async () => {
    world = await openWorld('fleet', { hosts: 3 });
    // As three hosts of which no one knows another, and one of which has the CA.
    for (const host of ['a', 'b', 'c']) {
      const { configFile } = labHost(world.lab, host);
      const config = JSON.parse(await readFile(configFile, 'utf8')) as object;
      await writeFile(configFile, JSON.stringify({ ...config, peers: {} }));
    }
    await joinFleet('b');
  });
  after(() => world?.close());

  /** The program itself, on a host of the lab. */
  const godwit = (host: string, ...args: string[]): Promise<string> =>
    runCommand(inHost(world.lab, host, [process.execPath, GODWIT, ...args]), {
      deadlineMs: 30_000,
    });
  const caDir = (): string => path.join(world.lab.dir, 'ca');
  /** Its certificate and all that it knew of the others is gone; a token brings both. */
  const joinFleet = async (host: string): Promise<void> => {
    const { stateDir, address } = labHost(world.lab, host);
    const pkiDir = path.join(stateDir, 'pki');
    await stopAgent(world.lab, host);
    await rm(pkiDir, { recursive: true });
    const own = labHost(world.lab, 'a').configFile;
    const made = await godwit(
      'a',
      'invite',
      host,
      '--addresses',
      address,
      '--config',
      own,
      '--json',
    );
    const { token } = JSON.parse(made) as { token: string };
    // Its configuration is kept.
    await godwit(host, 'join', token, '--config', labHost(world.lab, host).configFile);
    await startAgent(world.lab, host);
  };
  const ask = (from: string, identity: Identity, at: string): Promise<Answer> =>
    callFrom(world, from, identity, {
      address: agentAddress(world, at),
      server: at,
      contract: 'agent',
      call: 'host',
      input: {},
    });
  const untilSo = async (what: string, check: () => Promise<boolean>): Promise<void> =>
    void (await until(what, 40_000, async () => ((await check()) ? true : undefined)));
  const statusAt = async (host: string, of: string): Promise<string | undefined> => {
    const { hosts } = await world.agent(host).hosts();
    return hosts.find(({ name }) => name === of)?.status;
  };

  test('a third host joins with a token alone, and the hosts know each other', async () => {
    await joinFleet('c');
    for (const host of ['a', 'b']) {
      await untilSo(`${host} to know c`, async () => (await statusAt(host, 'c')) === 'up');
    }
    for (const host of ['a', 'b']) {
      await untilSo(`c to know ${host}`, async () => (await statusAt('c', host)) === 'up');
    }
  });

  test('a guest moves to a host that is in no configuration file', async () => {
    await startBareGuest(world, { name: 'wanders', host: 'a' });
    const moved = await move(world, { guest: 'wanders', from: 'a', to: 'c' });
    assert.equal(moved.outcome, 'done');
  });

  test('a secret that is rotated reaches every host, and the wire continues', async () => {
    const fileOf = (host: string): string =>
      path.join(labHost(world.lab, host).stateDir, 'pki', 'site.secret');
    const before = await readFile(fileOf('b'), 'utf8');
    await godwit('a', 'pki', 'rotate-secret', '--dir', caDir());
    const secret = await readFile(path.join(caDir(), 'site.secret'), 'utf8');
    assert.notEqual(secret, before);
    for (const host of ['a', 'b', 'c']) {
      await untilSo(
        `${host} to have it`,
        async () => (await readFile(fileOf(host), 'utf8')) === secret,
      );
    }
    const moved = await move(world, { guest: 'wanders', from: 'c', to: 'a', path: 'wire' });
    assert.equal(moved.outcome, 'done');
  });

  test("a host's certificate renews itself while guests move, and the old one becomes invalid", async () => {
    const pki = path.join(labHost(world.lab, 'b').stateDir, 'pki');
    const serial = async (): Promise<string> =>
      new X509Certificate(await readFile(path.join(pki, 'host.crt'))).serialNumber;
    // For seconds: what else takes weeks.
    const short = { caDir: caDir(), name: 'b', role: 'agent', days: 30 / 86_400 } as const;
    const { address } = labHost(world.lab, 'b');
    await stopAgent(world.lab, 'b');
    storeCredentials(pki, await issue({ ...short, addresses: [address] }));
    const stolen = path.join(world.lab.dir, 'identities', 'stolen-b');
    await cp(pki, stolen, { recursive: true });
    await startAgent(world.lab, 'b');
    const first = await serial();
    await startBareGuest(world, { name: 'renewed', host: 'a' });
    let from = 'a';
    const seen = new Set([first]);
    const begunMs = Date.now();
    while (seen.size < 3 || Date.now() - begunMs < 45_000) {
      const to = from === 'a' ? 'b' : 'a';
      const moved = await move(world, { guest: 'renewed', from, to });
      assert.equal(moved.outcome, 'done');
      from = to;
      seen.add(await serial());
      assert.equal(await statusAt('a', 'b'), 'up');
      assert.equal(await statusAt('b', 'a'), 'up');
    }
    const identity = { directory: stolen, stem: 'host' };
    assertSays(errorOf(await ask('c', identity, 'a')), 'GODWIT_CERT_EXPIRED', 'b');
    const newest = path.join(world.lab.dir, 'identities', 'newest-b');
    await godwit(
      'a',
      'pki',
      'issue',
      'b',
      '--dir',
      caDir(),
      '--addresses',
      address,
      '--out',
      newest,
    );
    const { agentLog } = labHost(world.lab, 'b');
    await untilSo('b to say that it is refused', async () =>
      /GODWIT_CERT_SUPERSEDED/.test(await readFile(agentLog, 'utf8')),
    );
    await stopAgent(world.lab, 'b');
    await cp(newest, pki, { recursive: true });
    await startAgent(world.lab, 'b');
    await untilSo('b to be up', async () => (await statusAt('a', 'b')) === 'up');
  });

  test("an operator's revoked certificate is refused by every host", async () => {
    const directory = path.join(world.lab.dir, 'identities', 'ann');
    const made = await issue({ caDir: caDir(), name: 'ann', role: 'operator', addresses: [] });
    storeCredentials(directory, made, 'operator');
    const ann = { directory, stem: 'operator' };
    assert.ok('answer' in (await ask('c', ann, 'b')));
    await godwit('a', 'pki', 'revoke', 'ann', '--dir', caDir());
    for (const host of ['a', 'b', 'c']) {
      await untilSo(`${host} to refuse ann`, async () => 'error' in (await ask('b', ann, host)));
      assertSays(errorOf(await ask('b', ann, host)), 'GODWIT_CERT_REVOKED', 'ann', 'revoked on');
    }
  });

  test('a removed host has no rights any more, and gets no guest', async () => {
    const c = hostIdentity(world, 'c');
    assert.ok('answer' in (await ask('c', c, 'b')));
    await godwit('a', 'pki', 'remove', 'c', '--dir', caDir());
    for (const host of ['a', 'b']) {
      await untilSo(`${host} to refuse c`, async () => 'error' in (await ask('c', c, host)));
      assertSays(errorOf(await ask('c', c, host)), 'GODWIT_CERT_REVOKED', 'c was revoked');
      assert.equal(await statusAt(host, 'c'), undefined);
    }
    await startBareGuest(world, { name: 'stays', host: 'b' });
    assertSays(
      await refusalOf(world, { guest: 'stays', from: 'b', to: 'c' }),
      'GODWIT_HOST_UNKNOWN',
      'c',
    );
  });
});

function errorOf(answer: Answer) {
  assert.ok('error' in answer, `answered ${JSON.stringify(answer)}`);
  return answer.error;
}
