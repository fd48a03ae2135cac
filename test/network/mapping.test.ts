import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nicOf } from '../../src/network/attachment.ts';
import { parseForwarding, type NetworkFacts, type OvsPort } from '../../src/network/facts.ts';
import { mapNic, type Mapping, type Names } from '../../src/network/mapping.ts';
import type { NicNetwork } from '../../src/protocol/network.ts';
import { hostFacts, MAC, ROUTED } from './host-facts.ts';

const NONE: Names = { asked: {}, configured: {} };

function nic(port: string, facts = hostFacts()): NicNetwork {
  const found = nicOf({ id: 'net0', mac: MAC, port }, facts);
  assert.ok(found !== undefined);
  return found;
}

function landing(mapping: Mapping): unknown {
  assert.ok(mapping.ok, JSON.stringify(mapping));
  return mapping.landing;
}

function refusal(mapping: Mapping): string {
  assert.ok(!mapping.ok, JSON.stringify(mapping));
  assert.notEqual(mapping.hint, '');
  return mapping.what;
}

const without = (name: string): Partial<NetworkFacts> => ({
  links: hostFacts().links.filter(({ ifname }) => ifname !== name),
});

describe('a NIC in a bridge', () => {
  test('a bridged NIC moves to the bridge of the same name', () => {
    assert.deepEqual(landing(mapNic(nic('tap1'), NONE, hostFacts())), {
      kind: 'bridge',
      bridge: 'br0',
      mtu: 1500,
    });
  });

  test('a bridged NIC moves where the request says, and then where the configuration says', () => {
    const names = { asked: { br0: 'brx' }, configured: { br0: 'brv' } };
    const small = refusal(mapNic(nic('tap1'), names, hostFacts()));
    assert.match(small, /brx has an MTU of 1450/);
    const configured = { asked: {}, configured: { br0: 'brv' } };
    const found = landing(mapNic(nic('tap1'), configured, hostFacts()));
    assert.equal((found as { bridge: string }).bridge, 'brv');
  });

  test('a bridged NIC is refused if there is no such bridge', () => {
    assert.match(refusal(mapNic(nic('tap1'), NONE, hostFacts(without('br0')))), /no bridge br0/);
  });

  test('a bridged NIC is refused if another port already has its MAC', () => {
    const forwarding = parseForwarding(JSON.stringify([{ mac: MAC, ifname: 'tap1' }]));
    assert.match(refusal(mapNic(nic('tap1'), NONE, hostFacts({ forwarding }))), /behind tap1/);
  });
});

describe('a NIC in a VLAN', () => {
  test('a NIC in a VLAN keeps it if a port here carries it', () => {
    const vlan = { mode: 'access', tag: 10 };
    const expected = { kind: 'bridge', bridge: 'brv', mtu: 1500, vlan };
    assert.deepEqual(landing(mapNic(nic('tap2'), NONE, hostFacts())), expected);
  });

  test('a NIC in a VLAN is refused if no port carries it, or the bridge is not VLAN-aware', () => {
    const bare = hostFacts({ vlans: [] });
    assert.match(refusal(mapNic(nic('tap2'), NONE, bare)), /no port of brv carries VLAN 10/);
    const names = { asked: { brv: 'br0' }, configured: {} };
    assert.match(refusal(mapNic(nic('tap2'), names, hostFacts())), /knows no VLANs/);
  });
});

describe('a NIC over VXLAN', () => {
  test('a NIC over VXLAN moves to the bridge with its VNI, whatever its name', () => {
    const renamed = hostFacts().links.map((link) => ({
      ...link,
      ifname: link.ifname === 'brx' ? 'other' : link.ifname,
      ...(link.master === 'brx' ? { master: 'other' } : {}),
    }));
    const found = landing(mapNic(nic('tap3'), NONE, hostFacts({ links: renamed })));
    assert.equal((found as { bridge: string }).bridge, 'other');
  });

  test('a NIC over VXLAN is refused if no bridge carries its VNI, even one of the same name', () => {
    assert.match(refusal(mapNic(nic('tap3'), NONE, hostFacts(without('vx')))), /VNI 100/);
  });
});

describe('a routed NIC', () => {
  const away = hostFacts({ routes: [] });

  test('a routed NIC is routed here as before, with the same MAC of its port', () => {
    assert.deepEqual(landing(mapNic(nic('tap4'), NONE, away, ROUTED)), nic('tap4').attachment);
  });

  test('a routed NIC is refused if no addresses are configured for routed guests', () => {
    assert.match(refusal(mapNic(nic('tap4'), NONE, away)), /this host allows none/);
  });

  test('a routed NIC is refused if a port here has its address', () => {
    const { addresses } = hostFacts({ addresses: [] });
    assert.match(refusal(mapNic(nic('tap4'), NONE, hostFacts({ addresses }), ROUTED)), /port tap4/);
  });
});

test('a macvtap is refused with the alternatives', () => {
  assert.match(refusal(mapNic(nic('mv0'), NONE, hostFacts())), /macvtap of up0/);
});

describe('a NIC of Open vSwitch', () => {
  const uplink = { name: 'up1', bridge: 'ovs0', tag: undefined, trunks: [] };
  const tap = { name: 'tap5', bridge: 'ovs0', tag: 7, trunks: [] };
  const links = [...hostFacts().links, { ifname: 'tap5', mtu: 1500, kind: 'tun', data: {} }];
  const at = (port: Partial<OvsPort> = {}): NicNetwork =>
    nic('tap5', hostFacts({ links, ovsPorts: [{ ...tap, ...port }] }));
  const here = (...ovsPorts: OvsPort[]): NetworkFacts => hostFacts({ ovsPorts });
  const vlan = { mode: 'access', tag: 7 };

  test('an Open vSwitch NIC keeps its tag if an uplink carries it', () => {
    const expected = { kind: 'ovs', bridge: 'ovs0', mtu: 1500, vlan };
    assert.deepEqual(landing(mapNic(at(), NONE, here(uplink))), expected);
    const found = landing(mapNic(at({ tag: undefined }), NONE, here({ ...uplink, trunks: [5] })));
    assert.deepEqual(found, { kind: 'ovs', bridge: 'ovs0', mtu: 1500 });
  });

  test("an Open vSwitch NIC is refused if no uplink carries its tag, or one of its trunk's", () => {
    const narrow = here({ ...uplink, trunks: [5, 6] });
    assert.match(refusal(mapNic(at(), NONE, narrow)), /no port of ovs0 carries VLAN 7 /);
    const trunk = at({ tag: 5, trunks: [6, 9], vlanMode: 'native-untagged' });
    assert.match(refusal(mapNic(trunk, NONE, narrow)), /no port of ovs0 carries VLAN 9 /);
  });

  test('an Open vSwitch NIC is refused without such a bridge, and moves where the request says', () => {
    const other = here({ ...uplink, bridge: 'ovs1' });
    assert.match(refusal(mapNic(at(), NONE, other)), /no bridge ovs0/);
    const names = { asked: { ovs0: 'ovs1' }, configured: {} };
    const expected = { kind: 'ovs', bridge: 'ovs1', mtu: 1500, vlan };
    assert.deepEqual(landing(mapNic(at(), names, other)), expected);
  });

  test('an Open vSwitch NIC may move to a VLAN-aware Linux bridge, but not with an open trunk', () => {
    const names = { asked: { ovs0: 'brv' }, configured: {} };
    const expected = {
      kind: 'bridge',
      bridge: 'brv',
      mtu: 1500,
      vlan: { mode: 'access', tag: 10 },
    };
    assert.deepEqual(landing(mapNic(at({ tag: 10 }), names, hostFacts())), expected);
    const all = at({ vlanMode: 'native-untagged' });
    assert.match(refusal(mapNic(all, names, hostFacts())), /carries all VLANs/);
  });

  test('an Open vSwitch NIC may come from a Linux bridge, whose VLAN 1 means untagged there', () => {
    const names = { asked: { brv: 'ovs0', br0: 'ovs0' }, configured: {} };
    const narrow = here({ ...uplink, trunks: [10] });
    const expected = { kind: 'ovs', bridge: 'ovs0', mtu: 1500 };
    const tagged = landing(mapNic(nic('tap2'), names, narrow));
    assert.deepEqual(tagged, { ...expected, vlan: { mode: 'access', tag: 10 } });
    const own = nic('tap2');
    assert.ok(own.attachment.kind === 'bridge');
    const first = { ...own, attachment: { ...own.attachment, vlan: { mode: 'access', tag: 1 } } };
    assert.deepEqual(landing(mapNic(first as NicNetwork, names, narrow)), expected);
    assert.deepEqual(landing(mapNic(nic('tap1'), names, narrow)), expected);
  });
});

describe('a bridge with allowed VLANs', () => {
  const within = (bridge: string, tags: number[]): Names => ({
    ...NONE,
    vlans: { [bridge]: tags },
  });
  const carried = (mapping: Mapping): unknown => (landing(mapping) as { vlan?: unknown }).vlan;

  test('a bridge with allowed VLANs gives a guest from another host only those', () => {
    const own = mapNic(nic('tap2'), NONE, hostFacts());
    const { bridge, vlan } = landing(own) as { bridge: string; vlan: { tag: number } };
    assert.deepEqual(carried(mapNic(nic('tap2'), within(bridge, [vlan.tag]), hostFacts())), vlan);
    assert.match(
      refusal(mapNic(nic('tap2'), within(bridge, [vlan.tag + 1]), hostFacts())),
      /guests of other hosts may not have VLAN/,
    );
    assert.deepEqual(carried(mapNic(nic('tap2'), within('another', []), hostFacts())), vlan);
  });

  test('a bridge with allowed VLANs never gives all of them, as an untagged Open vSwitch port has', () => {
    const ports: OvsPort[] = [{ name: 'up', bridge: 'ovs0', tag: undefined, trunks: [] }];
    const facts = { ...hostFacts(), ovsPorts: ports };
    const attachment = { kind: 'ovs', bridge: 'ovs0', mtu: 1500 } as const;
    const open: NicNetwork = { id: 'net0', mac: MAC, port: 'tap9', addresses: [], attachment };
    assert.equal(mapNic(open, NONE, facts).ok, true);
    assert.match(refusal(mapNic(open, within('ovs0', [10]), facts)), /all VLANs of ovs0/);
  });
});

test('a NIC never gets a smaller MTU than it had', () => {
  const ports = fc.constantFrom('tap1', 'tap2', 'tap3', 'tap4');
  fc.assert(
    fc.property(ports, fc.integer({ min: 68, max: 9000 }), (port, mtu) => {
      const links = hostFacts().links.map((link) => ({ ...link, mtu }));
      const one = nic(port);
      const facts = hostFacts({ links, routes: [], addresses: [] });
      const mapping = mapNic(one, NONE, facts, ROUTED);
      if (mapping.ok) assert.ok(mapping.landing.mtu >= one.attachment.mtu);
      else assert.ok(mtu < one.attachment.mtu, mapping.what);
    }),
  );
});
