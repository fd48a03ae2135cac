import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nicOf } from '../../src/network/attachment.ts';
import { parseForwarding, parseLinks, type NetworkFacts } from '../../src/network/facts.ts';
import { arrivalPlan, departureSteps, type Step } from '../../src/network/handover.ts';
import { mapNic } from '../../src/network/mapping.ts';
import { judgePortSettings, settingsCommand } from '../../src/network/port-settings.ts';
import { nicNetwork, type NicNetwork } from '../../src/protocol/network.ts';
import {
  PORT_SETTINGS,
  portSettings,
  protects,
  settingNames,
  type PortSettings,
} from '../../src/protocol/port-settings.ts';
import { hostFacts, MAC } from './host-facts.ts';

/** What iproute2 6.1 reports of a port that nobody changed. */
const NEW_PORT = {
  state: 'forwarding',
  priority: 32,
  cost: 2,
  hairpin: false,
  guard: false,
  root_block: false,
  fastleave: false,
  learning: true,
  flood: true,
  id: '0x8001',
  proxy_arp: false,
  proxy_arp_wifi: false,
  multicast_router: 1,
  mcast_flood: true,
  bcast_flood: true,
  mcast_to_unicast: false,
  neigh_suppress: false,
  group_fwd_mask: '0',
  vlan_tunnel: false,
  isolated: false,
  locked: false,
};
const OTHER = '52:54:00:00:00:99';

function factsWith(port: object, entries: object[] = []): NetworkFacts {
  const linkinfo = { info_kind: 'tun', info_slave_kind: 'bridge', info_slave_data: port };
  const tap = { ifname: 'tap9', mtu: 1500, master: 'br0', address: 'fe:00:00:00:00:09', linkinfo };
  const forwarding = parseForwarding(
    JSON.stringify(entries.map((entry) => ({ ifname: 'tap9', flags: [], ...entry }))),
  );
  return hostFacts({
    links: [...hostFacts().links, ...parseLinks(JSON.stringify([tap]))],
    forwarding,
  });
}

function nicWith(port: object, entries: object[] = []): NicNetwork {
  const found = nicOf({ id: 'net0', mac: MAC, port: 'tap9' }, factsWith(port, entries));
  assert.ok(found !== undefined);
  return found;
}

function settingsOf({ attachment }: NicNetwork): PortSettings | undefined {
  assert.ok(attachment.kind === 'bridge');
  return attachment.settings;
}

const words = (steps: readonly Step[]): string[] =>
  steps.map(({ run }) => (run.tool === 'sysctl' ? run.key : [run.tool, ...run.words].join(' ')));

describe('the settings of a port', () => {
  test('a new port has no settings to carry over', () => {
    assert.equal(settingsOf(nicWith(NEW_PORT)), undefined);
    // Another kernel derives another cost, and a router that was just seen is a state.
    assert.equal(
      settingsOf(nicWith({ ...NEW_PORT, cost: 100, multicast_router: 3, id: '0x8002' })),
      undefined,
    );
  });

  test('the settings of a port are those that its owner changed', () => {
    const changed = {
      isolated: true,
      guard: true,
      learning: false,
      flood: false,
      mcast_flood: false,
      bcast_flood: false,
      hairpin: true,
      neigh_suppress: true,
      locked: true,
      priority: 8,
    };
    const reported = { ...NEW_PORT, ...changed, multicast_router: 2, group_fwd_mask: '0x4000' };
    assert.deepEqual(settingsOf(nicWith({ ...reported, cost: 50 })), {
      ...changed,
      mcast_router: 2,
      group_fwd_mask: 0x4000,
      cost: 50,
    });
  });

  test('the settings of a port include the MACs that its owner put behind it, without its own', () => {
    const nic = nicWith(NEW_PORT, [
      { mac: MAC, master: 'br0', state: 'static', vlan: 10 },
      { mac: OTHER, master: 'br0', state: 'static', flags: ['sticky'] },
      { mac: 'fe:00:00:00:00:09', master: 'br0', state: 'permanent' },
      { mac: '33:33:00:00:00:01', flags: ['self'], state: 'permanent' },
      { mac: '52:54:00:00:00:77', master: 'br0' },
    ]);
    const staticMacs = [
      { mac: MAC, vlan: 10 },
      { mac: OTHER, sticky: true },
    ];
    assert.deepEqual(settingsOf(nic), { staticMacs });
  });

  test('the settings of a port are refused by name if there are too many', () => {
    const many = Array.from({ length: 65 }, (_, index) => ({
      mac: `52:54:00:00:01:${index.toString(16).padStart(2, '0')}`,
      master: 'br0',
      state: 'static',
    }));
    assert.throws(() => nicWith(NEW_PORT, many), /static entries of tap9/);
  });
});

describe('a port here', () => {
  const names = { asked: {}, configured: {} };

  test('a Linux bridge port gets each setting before the guest runs, and its MAC afterwards', () => {
    const nic = nicWith({ ...NEW_PORT, isolated: true, learning: false, mcast_router: 0 }, [
      { mac: MAC, master: 'br0', state: 'static' },
      { mac: OTHER, master: 'br0', state: 'static' },
    ]);
    const mapping = mapNic(nic, names, hostFacts());
    assert.ok(mapping.ok);
    const { prepare, resume } = arrivalPlan(mapping.landing, 'gw0');
    assert.equal(
      words(prepare).at(-1),
      'ip link set dev gw0 type bridge_slave isolated on learning off',
    );
    // Another guest's frames would go to a MAC that a peer merely names.
    assert.deepEqual(words(resume), [`bridge fdb add ${MAC} dev gw0 master static`]);
    assert.deepEqual(words(departureSteps(nic)), [
      `bridge fdb del ${MAC} dev tap9 master`,
      `bridge fdb del ${OTHER} dev tap9 master`,
    ]);
    const judged = judgePortSettings(nic, mapping.landing);
    assert.equal(judged?.verdict, 'warn');
    assert.match(
      judged?.evidence ?? '',
      /isolated on, learning off, static entries for 52:54:.*02/,
    );
    assert.match(judged?.evidence ?? '', /static entries for 52:54:00:00:00:99 stays behind$/);
  });

  test("an Open vSwitch port is protected if the source's port is isolated", () => {
    const nic = nicWith({ ...NEW_PORT, isolated: true });
    const asked = { asked: { br0: 'ovs0' }, configured: {} };
    const mapping = mapNic(nic, asked, hostFacts());
    assert.ok(mapping.ok);
    const { prepare } = arrivalPlan(mapping.landing, 'gw0');
    assert.match(words(prepare).at(-1) ?? '', / -- set port gw0 protected=true$/);
    assert.equal(judgePortSettings(nic, mapping.landing)?.verdict, 'pass');
  });

  test('an Open vSwitch port is refused if it cannot isolate the guest, and causes a warning otherwise', () => {
    const asked = { asked: { br0: 'ovs0' }, configured: {} };
    const refused = mapNic(nicWith({ ...NEW_PORT, guard: true, flood: false }), asked, hostFacts());
    assert.ok(!refused.ok);
    assert.match(refused.what, /guard on, flood off, which a port of ovs0 .* cannot have/);
    const nic = nicWith({ ...NEW_PORT, hairpin: true });
    const mapping = mapNic(nic, asked, hostFacts());
    assert.ok(mapping.ok);
    const judged = judgePortSettings(nic, mapping.landing);
    assert.equal(judged?.verdict, 'warn');
    assert.match(judged?.evidence ?? '', /hairpin on stays behind/);
  });

  test("a Linux bridge port is isolated if the source's Open vSwitch port is protected", () => {
    const own = { bridge: 'ovs0', tag: undefined, trunks: [], isProtected: true };
    const links = [...hostFacts().links, { ifname: 'tap5', mtu: 1500, kind: 'tun', data: {} }];
    const facts = hostFacts({ links, ovsPorts: [{ name: 'tap5', ...own }] });
    const nic = nicOf({ id: 'net0', mac: MAC, port: 'tap5' }, facts);
    assert.ok(nic !== undefined);
    const mapping = mapNic(nic, { asked: { ovs0: 'br0' }, configured: {} }, hostFacts());
    assert.ok(mapping.ok);
    const { prepare } = arrivalPlan(mapping.landing, 'gw0');
    assert.equal(words(prepare).at(-1), 'ip link set dev gw0 type bridge_slave isolated on');
  });
});

test('a setting that isolates guests is never lost without a refusal', () => {
  const settings = fc.record(
    Object.fromEntries(
      PORT_SETTINGS.filter((name) => name !== 'staticMacs').map((name) => [
        name,
        portSettings.shape[name].safeParse(true).success ? fc.boolean() : fc.constant(1),
      ]),
    ),
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(settings, fc.constantFrom('br0', 'ovs0'), (own, there) => {
      const nic = nicNetwork.parse({
        ...nicWith(NEW_PORT),
        attachment: { kind: 'bridge', bridge: 'br0', mtu: 1500, settings: own },
      });
      const mapping = mapNic(nic, { asked: { br0: there }, configured: {} }, hostFacts());
      if (!mapping.ok) return;
      assert.ok(mapping.landing.kind !== 'routed');
      const { settings: here } = mapping.landing;
      for (const name of settingNames(own)) {
        assert.ok(!protects(name) || name === 'isolated' || here?.[name] !== undefined, name);
      }
      if (there === 'br0') {
        const set = settingsCommand('gw0', here)?.words.slice(6) ?? [];
        assert.equal(set.length, 2 * Object.keys(own).length);
      }
    }),
  );
});
