import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { agentConfig } from '../../../../src/config.ts';
import { hasCode } from '../../../../src/errors.ts';
import { silentLog } from '../../../../src/log.ts';
import type { DestinationState } from '../../../../src/migration/direct/destination/destination.ts';
import {
  announceRoutes,
  GuestPorts,
  settleTunnels,
} from '../../../../src/mover/direct/destination/nic-ports.ts';
import type { Attachment, NicNetwork } from '../../../../src/protocol/network.ts';
import type { Preparation } from '../../../../src/protocol/peer/migration.ts';
import { planned, preparationOf } from '../../../migration/direct/samples.ts';
import { FAILS, fakeTools, type Answers } from '../../../network/fake-tools.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { ROUTED_PORT } from '../../../network/host-facts.ts';

const MAC = '52:54:00:00:00:02';
const [PORT, ID] = ['gw01234567n0', 'm-00000001'];
const never = new AbortController().signal;

const bridge = (ifname: string, mtu = 1500) => ({ ifname, mtu, linkinfo: { info_kind: 'bridge' } });
const uuid = (id: string) => ['uuid', id];
const SWITCH = [
  {
    headings: ['_uuid', 'name', 'tag', 'trunks', 'vlan_mode'],
    data: [[uuid('p0'), 'ovs0', ['set', []], ['set', []], ['set', []]]],
  },
  { headings: ['name', 'ports'], data: [['ovs0', uuid('p0')]] },
  { headings: ['name', 'external_ids'], data: [['ovs0', ['map', []]]] },
].map((each) => JSON.stringify(each));

/** A host with the bridges br1 and br2, and ovs0 of Open vSwitch. */
const HERE: Answers = {
  'ip -j -d link show': [bridge('br1'), bridge('br2'), { ifname: 'ovs0', mtu: 1500 }],
  'ip -j -d link show dev br1': [bridge('br1')],
  'ip -j -d link show dev br2': [bridge('br2')],
  'ip -j -d link show dev gw*': [],
  'ovs-vsctl *list Port*': SWITCH.join('\n'),
};

const nicAt = (attachment: Attachment): NicNetwork => ({
  id: 'net0',
  mac: MAC,
  port: 'tap0',
  addresses: [],
  attachment,
});
const onBridge = nicAt({ kind: 'bridge', bridge: 'br1', mtu: 1500 });
const onSwitch = nicAt({ kind: 'ovs', bridge: 'ovs0', mtu: 1500, ids: { 'iface-id': 'lp1' } });
const routedTo = (...routes: string[]): NicNetwork => nicAt({ ...ROUTED_PORT, routes });

const prepare = (networks: NicNetwork[], networkMap: Record<string, string> = {}): Preparation => ({
  ...preparationOf(planned()),
  networks,
  networkMap,
});

/** The destination's ports, with what its configuration says beside its name. */
function portsOf(t: TestContext, own: object = {}, answers: Answers = HERE) {
  const changes = fakeTools(t, answers);
  const text = { name: 'b', address: '10.0.0.2:7443', stateDir: tempDir(t), ...own };
  return { ports: new GuestPorts(agentConfig.parse(text), () => 0), changes };
}

/** What a mapping says of the network: its verdicts, and the evidence. */
async function mapped(ports: GuestPorts, preparation: Preparation) {
  const checks = (await ports.map(preparation, never)).filter(({ name }) => name === 'network');
  return checks.map(
    ({ verdict, evidence, error }) => `${verdict} ${error?.code ?? ''}: ${evidence}`,
  );
}

describe('networks of an arriving guest', () => {
  test('the networks of an arriving guest are found by name here, and the driver gets their places', async (t) => {
    const { ports } = portsOf(t, { bridges: { old: 'br2' } });
    const said = await mapped(ports, prepare([onBridge]));
    assert.deepEqual(said, ['pass : net0: by its name br1, MTU 1500']);
    assert.deepEqual(ports.bridges, { old: 'br2', br1: 'br1' });
  });

  test("the request's place for a network counts first, then the configuration's", async (t) => {
    const { ports } = portsOf(t, { bridges: { br0: 'br1' } });
    const guest = nicAt({ kind: 'bridge', bridge: 'br0', mtu: 1500 });
    assert.match((await mapped(ports, prepare([guest])))[0] ?? '', /br0 is mapped to br1/);
    assert.deepEqual(ports.bridges, { br0: 'br1' });
    const [asked] = await mapped(ports, prepare([guest], { br0: 'br2' }));
    assert.match(asked ?? '', /^pass : net0: br0 is mapped to br2/);
    assert.deepEqual(ports.bridges, { br0: 'br2' });
  });

  test('a guest is refused by the device without a network here, and its other devices are accepted', async (t) => {
    const { ports } = portsOf(t);
    const lost = { ...nicAt({ kind: 'bridge', bridge: 'br9', mtu: 1500 }), id: 'net1' };
    const said = await mapped(ports, prepare([onBridge, lost]));
    assert.match(said[0] ?? '', /^pass/);
    assert.equal(said[1], 'refuse GODWIT_DEVICE_UNMAPPED: there is no bridge br9');
    assert.deepEqual(ports.bridges, { br1: 'br1' });
  });

  test('networks are not looked up if the guest has none', async (t) => {
    const { ports } = portsOf(t, {}, { '*': FAILS });
    assert.deepEqual(await ports.map(preparationOf(planned()), never), []);
  });
});

describe('a routed guest', () => {
  const fleet = {
    network: { routedPrefixes: ['10.0.0.0/8'] },
    peers: { c: { address: '10.88.0.3:7443', addresses: ['10.88.9.3:7443'] } },
  };

  test('a routed guest arrives with a route that its administrator allows', async (t) => {
    const { ports } = portsOf(t, fleet);
    const said = await mapped(ports, prepare([routedTo('10.88.0.21/32')]));
    assert.match(said[0] ?? '', /^pass : net0: routed: 10\.88\.0\.21\/32/);
  });

  test('a routed guest never gets the address of a host of the fleet or of a relay', async (t) => {
    const behind = { d: { address: 'd.relay:7443' } };
    const relays = [{ name: 'relay', address: '10.88.0.9:7443' }];
    const { ports } = portsOf(t, { ...fleet, peers: { ...fleet.peers, ...behind }, relays });
    for (const taken of ['10.0.0.2', '10.88.0.3', '10.88.9.3', '10.88.0.9']) {
      const [said] = await mapped(ports, prepare([routedTo(`${taken}/32`)]));
      assert.match(said ?? '', /^refuse .*address of another host of the fleet/, taken);
    }
    // A host behind a relay has no address here that could be unknown.
    const [own] = await mapped(ports, prepare([routedTo('10.88.0.21/32')]));
    assert.match(own ?? '', /^pass/);
  });
});

describe('the port of a NIC', () => {
  test("a NIC's port is created in the bridge that was found for it, for the hypervisor's user", async (t) => {
    const { ports, changes } = portsOf(t);
    await ports.map(prepare([onBridge], { br1: 'br2' }), never);
    const made = { port: PORT, owner: 106 };
    await ports.make({ id: 'net0', mac: MAC, bridge: 'br1' }, made, 'web1', never);
    const [first, second] = changes();
    assert.equal(first, `ip tuntap add dev ${PORT} mode tap user 106`);
    assert.match(second ?? '', new RegExp(`^ip link set dev ${PORT} master br2 .* up$`));
  });

  test("a NIC's port is created in the driver's bridge if the source named none", async (t) => {
    const { ports, changes } = portsOf(t);
    const made = { port: PORT, owner: undefined };
    await ports.make(
      { id: 'net0', mac: MAC, bridge: 'br1', multiQueue: true },
      made,
      'web1',
      never,
    );
    assert.equal(changes()[0], `ip tuntap add dev ${PORT} mode tap multi_queue`);
    assert.match(changes()[1] ?? '', / master br1 /);
  });

  test("a NIC's port is not created if its attachment is unknown", async (t) => {
    const { ports, changes } = portsOf(t);
    const made = { port: PORT, owner: 106 };
    await assert.rejects(ports.make({ id: 'net0', mac: MAC }, made, 'web1', never), (error) =>
      hasCode(error, 'GODWIT_DEVICE_UNMAPPED'),
    );
    assert.deepEqual(changes(), []);
  });
});

describe('a port bound by a network controller', () => {
  const ids = (entries: object) => {
    const map = ['map', Object.entries(entries)];
    return JSON.stringify({ headings: ['external_ids'], data: [[map]] });
  };
  const own = { 'ovn-remote': 'unix:sb' };
  const here = (remote: object, port: object): Answers => ({
    'ovs-vsctl *list Interface gw*': `${ids(port)}\n${ids(remote)}`,
    'ovs-vsctl *list Open_vSwitch': ids(remote),
    ...HERE,
  });
  const bound = { 'iface-id': 'lp1', 'ovn-installed': 'true' };

  test('a port that a network controller binds is awaited until it is bound', async (t) => {
    const { ports } = portsOf(t, {}, here(own, bound));
    await ports.map(prepare([onSwitch]), never);
    await ports.bound([onSwitch], { net0: PORT }, never);
  });

  test("a port's binding is checked exactly if OVN or the hook is present", async (t) => {
    const hooks = { directory: tempDir(t) };
    writeFileSync(path.join(hooks.directory, 'prepare-destination'), '', { mode: 0o755 });
    const bind = async (remote: object, more: object): Promise<void> => {
      const silent = { 'ovs-vsctl *list Interface gw*': FAILS };
      const { ports } = portsOf(t, more, { ...here(remote, {}), ...silent });
      await ports.map(prepare([onSwitch]), never);
      await ports.bound([onSwitch], { net0: PORT }, never);
    };
    const unbound = (error: unknown): boolean => hasCode(error, 'GODWIT_PORT_UNBOUND');
    await bind({}, {});
    await assert.rejects(bind(own, {}), unbound);
    await assert.rejects(bind({}, { hooks }), unbound);
  });

  test('a port is refused before its creation if OVN is here and would not bind it', async (t) => {
    const boundChecks = async (remote: object) => {
      const { ports } = portsOf(t, {}, here(remote, {}));
      const checks = await ports.map(prepare([onSwitch, { ...onBridge, id: 'net1' }]), never);
      return checks.filter(({ name }) => name === 'bound').map(({ verdict }) => verdict);
    };
    assert.deepEqual(await boundChecks(own), ['refuse']);
    assert.deepEqual(await boundChecks({}), ['warn']);
  });

  test('a NIC in a Linux bridge, or one without a created port, waits for no controller', async (t) => {
    const { ports } = portsOf(t, {}, { ...here(own, {}), 'ovs-vsctl *list Interface gw*': FAILS });
    await ports.map(prepare([onBridge]), never);
    await ports.bound([onBridge], { net0: PORT }, never);
    await ports.map(prepare([onSwitch]), never);
    await ports.bound([onSwitch], {}, never);
  });
});

test('the segment of each NIC that has found its place is checked', async (t) => {
  const { ports } = portsOf(t, { network: { segmentCheck: false } });
  await ports.map(prepare([onBridge]), never);
  const checks = await ports.segments({ id: ID, from: 'a' }, prepare([onBridge]), never);
  assert.deepEqual(
    checks.map(({ name, notTried }) => [name, notTried]),
    [['segment', true]],
  );
});

test('a host that has its segments asked for very many addresses is told to wait, unless none are asked', async (t) => {
  const addresses = Array.from({ length: 8 }, (_, at) => `10.9.0.${at + 1}`);
  const many = Array.from({ length: 64 }, (_, at) => ({ ...onBridge, id: `net${at}`, addresses }));
  const asking = (segmentCheck: boolean) => {
    const { ports } = portsOf(t, { network: { segmentCheck } });
    return async (): Promise<void> => {
      for (let times = 0; times < 3; times += 1)
        await ports.segments({ id: ID, from: 'a' }, prepare(many), never);
    };
  };
  await assert.rejects(asking(true), (error) => hasCode(error, 'GODWIT_OVERLOADED'));
  await asking(false)();
});

describe('a running guest', () => {
  const stateOf = (...networks: NicNetwork[]): DestinationState => {
    const ports = { net0: PORT };
    const state: unknown = { admission: { id: ID }, preparation: prepare(networks), ports };
    return state as DestinationState;
  };
  const listening = () => {
    const said: string[] = [];
    const hear = (_about: object, what: string): void => void said.push(what);
    return { said, log: { ...silentLog, warn: hear, error: hear } };
  };

  test('a running guest has its routes announced on its port, and one in a bridge has none', async (t) => {
    const changes = fakeTools(t, HERE);
    const { said, log } = listening();
    await announceRoutes(stateOf(onBridge), log);
    assert.deepEqual(changes(), []);
    await announceRoutes(stateOf(routedTo('10.88.0.21/32')), log);
    assert.match(changes().join('\n'), new RegExp(`^ip .*10\\.88\\.0\\.21/32 .*${PORT}`));
    assert.deepEqual(said, []);
  });

  test('a guest keeps running if its routes or tunnels cannot be set, and the log reports it', async (t) => {
    fakeTools(t, { '*': FAILS });
    const { said, log } = listening();
    await announceRoutes(stateOf(routedTo('10.88.0.21/32')), log);
    const vxlan = { device: 'vx', vni: 88, learning: true, flood: [] };
    await settleTunnels(stateOf(nicAt({ kind: 'bridge', bridge: 'br1', mtu: 1450, vxlan })), log);
    assert.deepEqual(said, [
      'routes of the guest were not announced',
      'the forwarding entries were not settled',
    ]);
  });
});

test('each created port is removed, and a missing one is not an error', async (t) => {
  const gone = { 'ip -j -d link show dev gw1': FAILS };
  const there = { 'ip -j -d link show dev gw0': [{ ifname: 'gw0' }] };
  const { ports, changes } = portsOf(t, {}, { ...gone, ...there });
  const state: unknown = { admission: { id: ID }, ports: { net0: 'gw0', net1: 'gw1' } };
  await ports.remove(state as DestinationState, never);
  const removed = changes().filter((call) => call.startsWith('ip '));
  assert.deepEqual(removed, ['ip link del dev gw0']);
});
