import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { agentsOf } from '../../lab/agents.ts';
import { signalProcess } from '../../lab/processes.ts';
import { labHost } from '../../lab/state.ts';
import { readJournals } from '../../src/host/journal/journal.ts';
import type { GuestDescription } from '../../src/protocol/peer/migration.ts';
import { startBareGuest, type BareGuest } from './support/bare-guest.ts';
import { makeBrake, type Brake } from './support/brake.ts';
import { moverOf } from './support/movers.ts';
import { assertSays, begin, follow, move, reportAtEnd } from './support/moves.ts';
import {
  agentAddress,
  attackFrom,
  callFrom,
  hostIdentity,
  makeIdentity,
  operatorIdentity,
  type AttackResult,
} from './support/peers.ts';
import { assertUnchanged, hostsNow } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, restingHosts, type World } from './support/world.ts';

/** c is a host of ours gone bad: its certificate is good, what it sends is not. */
const KINDS = [
  ...(['oversized', 'announced', 'malformed', 'shape', 'deep', 'header', 'noise'] as const),
  ...(['version', 'slow', 'plain', 'plain-silent'] as const),
];
const ADMISSION = {
  guest: 'trojan',
  from: 'c',
  memoryBytes: 2 ** 20,
  epoch: 7,
  timeoutMs: 60_000,
};
/** Parts of a description that name a file, a device or a program of the destination, each for a list of the spec. */
const HOSTILE_PARTS: [string, object][] = [
  ['objects', { type: 'memory-backend-file', id: 'm', props: { 'mem-path': '/etc/shadow' } }],
  ['chardevs', { id: 'c', backend: { kind: 'file', name: '../../../../etc/crontab' } }],
  ['monitors', { kind: 'qmp', name: '/run/open.sock' }],
  ['netdevs', { type: 'tap', id: 'n', script: '/bin/sh' }],
  ['options', { name: 'chroot', value: '/' }],
  ['fwCfg', { name: 'opt/x', file: '/etc/shadow' }],
];
/** The same in parts that have the right shape: each is refused by the name of the part, with what is allowed there. */
const UNLISTED_PARTS: [string, object][] = [
  ['devices', { driver: 'vfio-pci', props: { host: '0000:00:02.0' } }],
  ['devices', { driver: 'virtio-net-pci', props: { romfile: '/etc/shadow' } }],
  ['devices', { driver: 'ipmi-bmc-sim', props: { frudatafile: '/etc/shadow' } }],
  ['devices', { driver: 'usb-kbd', props: { pcap: '/etc/cron.d/godwit' } }],
  ['objects', { type: 'rng-random', id: 'r', props: { filename: '/etc/shadow' } }],
  ['options', { name: 'nodefaults', value: 'secret.img' }],
  ['options', { name: 'smbios', value: 'type=0,path=/etc/shadow' }],
  ['options', { name: 'global', value: 'driver=e1000,property=mac,property=romfile,value=/etc/x' }],
  ['ports', { option: 'serial', backend: { kind: 'chardev', id: 'godwit-oob' } }],
  ['ports', { option: 'serial', backend: { kind: 'socket', name: 'qmp.sock', mux: false } }],
];
/** What an agent may take in memory after all of it: its limit of 120 MB, and some air for what is not collected yet. */
const AGENT_BYTES = 160 * 1024 ** 2;

describe('against a hostile peer with a good certificate', () => {
  let world: World;
  let brake: Brake;

  before(async () => {
    brake = await makeBrake();
    const configure = (host: string) =>
      host === 'b' ? { drivers: { qemu: { programs: [brake.program] } } } : {};
    world = await openWorld('foe', { hosts: 3, configure });
  });
  after(async () => {
    brake?.release();
    await world?.close();
    brake?.remove();
  });

  const asC = () => hostIdentity(world, 'c');
  const moverCall = (address: string, call: string, input: object) =>
    callFrom(world, 'c', asC(), { address, server: 'b', contract: 'mover', call, input });

  /** Has b admit a guest of c; answers where its mover listens. */
  async function admitted(id: string): Promise<string> {
    const input = { body: { id, ...ADMISSION } };
    const call = { contract: 'agent', call: 'admit', input } as const;
    const where = { address: agentAddress(world, 'b'), server: 'b' };
    const given = await callFrom(world, 'c', asC(), { ...where, ...call });
    assert.ok('answer' in given, JSON.stringify(given));
    return (given.answer as { moverAddress: string }).moverAddress;
  }

  test('agent and mover refuse each message with a reason, and serve the others meanwhile', async () => {
    const [agent] = await agentsOf(world.lab, 'b');
    assert.ok(agent !== undefined);
    const hosts = await restingHosts(world.lab);
    const guest = await startBareGuest(world, { name: 'calm1', host: 'a' });
    const mover = await admitted('m-00000001');
    const targets = [
      { address: agentAddress(world, 'b'), path: '/v1/incoming', kinds: KINDS },
      { address: mover, path: '/v1/prepare', kinds: KINDS },
    ];
    const attacking = Promise.all(targets.map((each) => attackFrom(world, 'c', asC(), each)));
    const report = await move(world, { guest: 'calm1', from: 'a', to: 'b' });
    assert.equal(report.runsAt, 'destination');
    (await attacking).forEach(assertRefusals);
    const [still] = await agentsOf(world.lab, 'b');
    assert.deepEqual([still?.pid, still?.startTicks], [agent.pid, agent.startTicks]);
    const bytes = residentBytes(agent.pid);
    assert.ok(bytes < AGENT_BYTES, `${bytes} bytes resident`);
    assert.deepEqual(await world.agent('b').health(), { ok: true });
    const body = { epoch: ADMISSION.epoch };
    assert.deepEqual(await moverCall(mover, 'release', { body }), { answer: { ok: true } });
    await endMoved('calm1', guest);
    await assertUnchanged(world, hosts);
  });

  test("a destination's mover talks only to the source of its guest", async () => {
    const hosts = await restingHosts(world.lab);
    const address = await admitted('m-00000002');
    const body = { epoch: ADMISSION.epoch };
    for (const identity of [hostIdentity(world, 'a'), operatorIdentity(world)]) {
      const call = { contract: 'mover', call: 'release', input: { body } } as const;
      const answer = await callFrom(world, 'a', identity, { address, server: 'b', ...call });
      assert.ok('error' in answer);
      assertSays(answer.error, 'GODWIT_ROLE_FORBIDDEN');
    }
    const stranger = await makeIdentity(world, { name: 'c', role: 'agent', stranger: true });
    const attacks = { address, path: '/v1/prepare', kinds: ['shape'] as const };
    const untrusted = await attackFrom(world, 'c', stranger, attacks);
    assert.equal(untrusted.shape.code, 'GODWIT_PEER_UNTRUSTED');
    assert.deepEqual(await moverCall(address, 'release', { body }), { answer: { ok: true } });
    await assertUnchanged(world, hosts);
  });

  test("a destination's mover creates only guests, and runs nothing without the right", async () => {
    const hosts = await restingHosts(world.lab);
    const address = await admitted('m-00000003');
    const { epoch } = ADMISSION;
    const commit = await moverCall(address, 'commit', { body: { epoch } });
    assert.ok('error' in commit);
    assertSays(commit.error, 'GODWIT_NOT_ARMED', 'trojan');
    const real = await describedOnB();
    const stream = { mode: 'precopy', streams: 1, compress: 'none', tls: true };
    for (const [list, item] of [...HOSTILE_PARTS, ...UNLISTED_PARTS]) {
      const parts = (real.spec as Record<string, unknown[]>)[list] ?? [];
      const spec = { ...(real.spec as object), [list]: [...parts, item] };
      const body = { epoch, description: { ...real, name: 'trojan', spec }, stream };
      const answer = await moverCall(address, 'prepare', { body });
      assert.ok('error' in answer, `${list}: ${JSON.stringify(answer)}`);
      if (HOSTILE_PARTS.some(([, each]) => each === item)) {
        assertSays(answer.error, 'GODWIT_PROTOCOL_INVALID', 'c sent something', list);
      } else {
        const said = ['b rejects', `${list}.`, 'of trojan from c', 'allowed is'];
        assertSays(answer.error, 'GODWIT_DESCRIPTION_REFUSED', ...said);
      }
    }
    const body = { epoch, description: { ...real, name: 'trojan' }, stream };
    const larger = await moverCall(address, 'prepare', { body });
    assert.ok('error' in larger);
    const allowed = `allowed are the ${ADMISSION.memoryBytes} admitted`;
    assertSays(larger.error, 'GODWIT_DESCRIPTION_REFUSED', 'memoryBytes of trojan', allowed);
    const clear = { ...body, stream: { ...stream, tls: false } };
    const answer = await moverCall(address, 'prepare', { body: clear });
    assert.ok('error' in answer);
    assertSays(answer.error, 'GODWIT_PROTOCOL_INVALID', 'stream.transport');
    const zero = { ...body, stream: { ...stream, tls: false, transport: 'zero-copy' } };
    const unnamed = await moverCall(address, 'prepare', { body: zero });
    assert.ok('error' in unnamed);
    assertSays(unnamed.error, 'GODWIT_DESCRIPTION_REFUSED', 'stream', 'allowed is TLS');
    await moverCall(address, 'release', { body: { epoch } });
    await assertUnchanged(world, hosts);
  });

  test('memory is accepted only from the source, over TLS, and earlier strangers do no harm', async () => {
    const guest = await startBareGuest(world, { name: 'secret1', host: 'a' });
    const bare = await hostsNow(world.lab);
    brake.hold();
    const id = await begin(world, { guest: 'secret1', from: 'a', to: 'b' });
    await follow(world, 'a', id, ({ phase }) => phase === 'preparing');
    const mover = moverOf(world, 'a', id);
    // The destination listens for memory while the source is stalled.
    signalProcess(mover.pid, 'SIGSTOP');
    try {
      brake.release();
      const address = await until('b to listen for memory', 15_000, () => memoryAddress(bare, id));
      const kinds = ['plain', 'plain-silent', 'anonymous', 'stream'] as const;
      for (const identity of [asC(), operatorIdentity(world)]) {
        const attacks = { address, path: '/', kinds, timeoutMs: 1500 };
        const results = await attackFrom(world, 'c', identity, attacks);
        // In clear text QEMU says nothing but an alert of TLS (record type 21), and over TLS nothing to strangers.
        assert.match(results.plain.first, /^(15|$)/);
        for (const kind of kinds.slice(1)) assert.equal(results[kind].first, '', kind);
      }
    } finally {
      signalProcess(mover.pid, 'SIGCONT');
    }
    // Had one of them been let in, its bytes would have been the guest's memory and nobody's the source's.
    const report = await reportAtEnd(world, 'a', id);
    assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    await endMoved('secret1', guest);
  });

  /** A guest as its source really described it to b. */
  async function describedOnB(): Promise<GuestDescription> {
    const guest = await startBareGuest(world, { name: 'model1', host: 'a' });
    const { id } = await move(world, { guest: 'model1', from: 'a', to: 'b' });
    await endMoved('model1', guest);
    const dir = path.join(labHost(world.lab, 'b').stateDir, 'migrations', id);
    for (const { event } of readJournals(dir).destination) {
      if (event.type === 'preparing') return event.preparation.description;
    }
    throw new Error(`${id} was not prepared`);
  }

  /** Of the ports that b has more than before, the one that is not its mover's. */
  async function memoryAddress(
    before: Awaited<ReturnType<typeof hostsNow>>,
    id: string,
  ): Promise<string | undefined> {
    const known = before.find(({ host }) => host === 'b')?.ports ?? [];
    const movers = moverOf(world, 'b', id).address ?? '';
    const now = (await hostsNow(world.lab)).find(({ host }) => host === 'b')?.ports ?? [];
    const port = now.find((each) => !known.includes(each) && !movers.endsWith(`:${each}`));
    return port === undefined ? undefined : `${labHost(world.lab, 'b').address}:${port}`;
  }

  /** Ends a bare guest that has moved to b. */
  async function endMoved(name: string, guest: BareGuest): Promise<void> {
    const { pid } = await world.agent('b').guest({ params: { guest: name } });
    assert.ok(pid !== undefined);
    signalProcess(pid, 'SIGKILL');
    const files = path.join(labHost(world.lab, 'b').stateDir, 'guests', name);
    await until(`${name} to end`, 5000, async () => {
      const { guests } = await world.agent('b').guests();
      return guests.some((each) => each.name === name) ? undefined : true;
    });
    rmSync(files, { recursive: true, force: true });
    await guest.stop();
  }
});

function assertRefusals(results: Record<(typeof KINDS)[number], AttackResult>): void {
  const codes = Object.fromEntries(KINDS.map((kind) => [kind, results[kind].code]));
  assert.deepEqual(codes, {
    oversized: 'GODWIT_TOO_LARGE',
    announced: 'GODWIT_TOO_LARGE',
    malformed: 'GODWIT_PROTOCOL_INVALID',
    shape: 'GODWIT_PROTOCOL_INVALID',
    deep: 'GODWIT_TOO_LARGE',
    header: 'GODWIT_TOO_LARGE',
    noise: 'GODWIT_PROTOCOL_INVALID',
    version: 'GODWIT_PROTOCOL_VERSION',
    slow: 'GODWIT_DEADLINE',
    plain: '',
    'plain-silent': '',
  });
  for (const kind of KINDS) assert.ok(results[kind].closed, `${kind} was not ended`);
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}
