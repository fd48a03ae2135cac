import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { labHost } from '../../lab/state.ts';
import { startBareGuest, type BareGuest } from './support/bare-guest.ts';
import { assertSays, refusalOf } from './support/moves.ts';
import {
  agentAddress,
  callFrom,
  hostIdentity,
  makeIdentity,
  operatorIdentity,
  withFakeAgent,
  withIdentity,
  type Answer,
} from './support/peers.ts';
import { assertUnchanged, type HostRemains } from './support/remains.ts';
import { openWorld, restingHosts, type World } from './support/world.ts';

describe('between agents', () => {
  let world: World;
  let here: BareGuest;
  let there: BareGuest;
  let hosts: readonly HostRemains[];

  before(async () => {
    world = await openWorld('trust', { hosts: 3 });
    here = await startBareGuest(world, { name: 'here1', host: 'a' });
    there = await startBareGuest(world, { name: 'there1', host: 'c' });
    hosts = await restingHosts(world.lab);
  });
  after(() => world?.close());

  const fromA = () => refusalOf(world, { guest: 'here1', from: 'a', to: 'c' });
  const fromC = () => refusalOf(world, { guest: 'there1', from: 'c', to: 'a' });
  const seenFromA = async () => {
    const all = await world.agent('a').hosts();
    return all.hosts.find(({ name }) => name === 'c');
  };

  async function assertNothingHappened(): Promise<void> {
    assert.equal(await here.status(), 'running');
    assert.equal(await there.status(), 'running');
    await assertUnchanged(world, hosts);
  }

  test('a certificate of another CA is trusted in neither direction', async () => {
    const stranger = await makeIdentity(world, { name: 'c', role: 'agent', stranger: true });
    await withIdentity(world, 'c', stranger, async () => {
      assertSays(
        await fromA(),
        'GODWIT_PEER_UNTRUSTED',
        'c did not present a certificate',
        'CA',
        'pki issue',
      );
      // What it knows of its fleet is by the CA of before.
      assertSays(
        await fromC(),
        'GODWIT_LIST_DAMAGED',
        'fleet.json',
        'not signed by our CA',
        'Remove',
      );
      const entry = await seenFromA();
      assert.equal(entry?.status, 'untrusted');
      assert.match(entry.reason ?? '', /c did not present a certificate that this host trusts/);
    });
    await assertNothingHappened();
  });

  test('an expired certificate is refused in both directions, with its date', async () => {
    const expired = await makeIdentity(world, { name: 'c', role: 'agent', days: -1 });
    const date = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    await withIdentity(world, 'c', expired, async () => {
      assertSays(await fromA(), 'GODWIT_CERT_EXPIRED', 'certificate of c', date, 'clocks');
      assertSays(await fromC(), 'GODWIT_CERT_EXPIRED', 'certificate of c', date, 'clocks');
    });
    await assertNothingHappened();
  });

  test('an agent does not start with a certificate of another role or name', async () => {
    const operator = await makeIdentity(world, { name: 'c', role: 'operator' });
    await assert.rejects(
      withIdentity(world, 'c', operator, () => Promise.resolve()),
      /is for c \(operator\); this agent is c and needs the role agent/,
    );
    const other = await makeIdentity(world, { name: 'd', role: 'agent' });
    await assert.rejects(
      withIdentity(world, 'c', other, () => Promise.resolve()),
      /is for d \(agent\); this agent is c/,
    );
    await assertNothingHappened();
  });

  test('a host that serves with a certificate of another role or name is not a destination', async () => {
    const operator = await makeIdentity(world, { name: 'c', role: 'operator' });
    await withFakeAgent(world, 'c', { identity: operator }, async () => {
      assertSays(
        await fromA(),
        'GODWIT_ROLE_FORBIDDEN',
        'c has the role operator',
        'agent',
        '--role',
      );
    });
    await withFakeAgent(world, 'c', { identity: hostIdentity(world, 'b') }, async () => {
      assertSays(await fromA(), 'GODWIT_PEER_UNTRUSTED', 'c did not present', 'is for b');
    });
    await assertNothingHappened();
  });

  test('a host that calls with a certificate of another role or host sends no guest', async () => {
    const body = {
      id: 'm-0123456789',
      guest: 'trojan',
      from: 'a',
      memoryBytes: 2 ** 20,
      epoch: 1,
      timeoutMs: 60_000,
    };
    const call = {
      address: agentAddress(world, 'b'),
      server: 'b',
      contract: 'agent',
      call: 'admit',
      input: { body },
    } as const;
    const asOperator = await callFrom(world, 'c', operatorIdentity(world), call);
    assertSays(
      errorOf(asOperator),
      'GODWIT_ROLE_FORBIDDEN',
      'role operator',
      'requires the role agent',
    );
    const asC = await callFrom(world, 'c', hostIdentity(world, 'c'), call);
    assertSays(errorOf(asC), 'GODWIT_ROLE_FORBIDDEN', 'send a guest of a', 'the certificate of a');
    const asAgent = await callFrom(world, 'c', hostIdentity(world, 'c'), {
      ...call,
      call: 'cancel',
      input: { params: { id: body.id } },
    });
    assertSays(
      errorOf(asAgent),
      'GODWIT_ROLE_FORBIDDEN',
      'role agent',
      'requires the role operator',
    );
    await assertNothingHappened();
  });

  test('a host that is removed from the peers loses its access without a restart, and gets no guest', async () => {
    const { configFile } = labHost(world.lab, 'a');
    const text = await readFile(configFile, 'utf8');
    const { peers, ...rest } = JSON.parse(text) as { peers: Record<string, unknown> };
    const { c: _out, ...others } = peers;
    await writeFile(configFile, JSON.stringify({ ...rest, peers: others }));
    try {
      const call = { address: agentAddress(world, 'a'), server: 'a', contract: 'agent' } as const;
      const asked = { ...call, call: 'host', input: {} } as const;
      const refused = await callFrom(world, 'c', hostIdentity(world, 'c'), asked);
      assertSays(errorOf(refused), 'GODWIT_NOT_A_MEMBER', 'c is not in the fleet list', 'peers');
      assertSays(await fromC(), 'GODWIT_NOT_A_MEMBER', 'c is not in the fleet list of a');
      assertSays(await fromA(), 'GODWIT_HOST_UNKNOWN', 'c');
    } finally {
      await writeFile(configFile, text);
    }
    assert.equal((await seenFromA())?.status, 'up');
    await assertNothingHappened();
  });

  test('a peer of another protocol version is refused with both lists, and listed with that reason', async () => {
    await withFakeAgent(world, 'c', { versions: [99] }, async () => {
      assertSays(
        await fromA(),
        'GODWIT_PROTOCOL_VERSION',
        'c speaks protocol 99',
        'speaks 1',
        'Upgrade',
      );
      const entry = await seenFromA();
      assert.equal(entry?.status, 'incompatible');
      assert.match(entry.reason ?? '', /99/);
    });
    await assertNothingHappened();
  });

  test('a destination that answers nonsense, or without an end, gets no guest', async () => {
    await withFakeAgent(world, 'c', { manner: 'shape' }, async () => {
      assertSays(await fromA(), 'GODWIT_PROTOCOL_INVALID', 'c sent something', 'moverAddress');
    });
    await withFakeAgent(world, 'c', { manner: 'endless' }, async () => {
      assertSays(await fromA(), 'GODWIT_TOO_LARGE', 'c exceeds the limit of');
    });
    await withFakeAgent(world, 'c', { manner: 'none' }, async () => {
      assertSays(await fromA(), 'GODWIT_PROTOCOL_INVALID', 'c sent something');
    });
    await assertNothingHappened();
  });
});

function errorOf(answer: Answer) {
  assert.ok('error' in answer, `answered ${JSON.stringify(answer)}`);
  return answer.error;
}
