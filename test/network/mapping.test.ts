import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nicOf } from '../../src/network/attachment.ts';
import { parseForwarding } from '../../src/network/facts.ts';
import type { NetworkFacts } from '../../src/network/facts.ts';
import { mapNic } from '../../src/network/mapping.ts';
import type { Mapping, Names } from '../../src/network/mapping.ts';
import type { NicNetwork } from '../../src/protocol/network.ts';
import { hostFacts, MAC } from './host-facts.ts';

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
  test('goes to the bridge of the same name', () => {
    assert.deepEqual(landing(mapNic(nic('tap1'), NONE, hostFacts())), {
      kind: 'bridge',
      bridge: 'br0',
      mtu: 1500,
    });
  });

  test('goes where the user says, and then where the configuration says', () => {
    const names = { asked: { br0: 'brx' }, configured: { br0: 'brv' } };
    const small = refusal(mapNic(nic('tap1'), names, hostFacts()));
    assert.match(small, /brx has an MTU of 1450/);
    const configured = { asked: {}, configured: { br0: 'brv' } };
    const found = landing(mapNic(nic('tap1'), configured, hostFacts()));
    assert.equal((found as { bridge: string }).bridge, 'brv');
  });

  test('is refused where there is no such bridge', () => {
    assert.match(refusal(mapNic(nic('tap1'), NONE, hostFacts(without('br0')))), /no bridge br0/);
  });

  test('is refused where another port has its MAC already', () => {
    const forwarding = parseForwarding(JSON.stringify([{ mac: MAC, ifname: 'tap1' }]));
    assert.match(refusal(mapNic(nic('tap1'), NONE, hostFacts({ forwarding }))), /behind tap1/);
  });
});

describe('a NIC in a VLAN', () => {
  test('keeps it, where a port here carries it', () => {
    const vlan = { mode: 'access', tag: 10 };
    const expected = { kind: 'bridge', bridge: 'brv', mtu: 1500, vlan };
    assert.deepEqual(landing(mapNic(nic('tap2'), NONE, hostFacts())), expected);
  });

  test('is refused where no port carries it, or the bridge knows no VLANs', () => {
    const bare = hostFacts({ vlans: [] });
    assert.match(refusal(mapNic(nic('tap2'), NONE, bare)), /no port of brv carries VLAN 10/);
    const names = { asked: { brv: 'br0' }, configured: {} };
    assert.match(refusal(mapNic(nic('tap2'), names, hostFacts())), /knows no VLANs/);
  });
});

describe('a NIC over VXLAN', () => {
  test('goes to the bridge with its VNI, whatever that is called', () => {
    const renamed = hostFacts().links.map((link) => ({
      ...link,
      ifname: link.ifname === 'brx' ? 'other' : link.ifname,
      ...(link.master === 'brx' ? { master: 'other' } : {}),
    }));
    const found = landing(mapNic(nic('tap3'), NONE, hostFacts({ links: renamed })));
    assert.equal((found as { bridge: string }).bridge, 'other');
  });

  test('is refused where nothing carries its VNI, also by a bridge of the same name', () => {
    assert.match(refusal(mapNic(nic('tap3'), NONE, hostFacts(without('vx')))), /VNI 100/);
  });
});

describe('a routed NIC', () => {
  const away = hostFacts({ routes: [] });

  test('is routed here as it was, with the same MAC of its port', () => {
    assert.deepEqual(landing(mapNic(nic('tap4'), NONE, away)), nic('tap4').attachment);
  });

  test('is refused where a port here has its address', () => {
    assert.match(refusal(mapNic(nic('tap4'), NONE, hostFacts())), /own port tap4/);
  });

  test('is refused with a gateway that would take a network along', () => {
    const one = nic('tap4');
    assert.ok(one.attachment.kind === 'routed');
    const wide = { ...one, attachment: { ...one.attachment, gateways: ['10.0.0.1/8'] } };
    assert.match(refusal(mapNic(wide, NONE, away)), /take a whole network/);
  });
});

test('a macvtap is refused with what to do instead', () => {
  assert.match(refusal(mapNic(nic('mv0'), NONE, hostFacts())), /macvtap of up0/);
});

test('a NIC of Open vSwitch keeps its tag', () => {
  const links = [...hostFacts().links, { ifname: 'tap5', mtu: 1500, kind: 'tun', data: {} }];
  const found = landing(mapNic(nic('tap5', hostFacts({ links })), NONE, hostFacts()));
  assert.deepEqual(found, {
    kind: 'ovs',
    bridge: 'ovs0',
    mtu: 1500,
    vlan: { mode: 'access', tag: 7 },
  });
});

test('no NIC ever lands on a smaller MTU than it had', () => {
  const ports = fc.constantFrom('tap1', 'tap2', 'tap3', 'tap4');
  fc.assert(
    fc.property(ports, fc.integer({ min: 68, max: 9000 }), (port, mtu) => {
      const links = hostFacts().links.map((link) => ({ ...link, mtu }));
      const one = nic(port);
      const mapping = mapNic(one, NONE, hostFacts({ links, routes: [] }));
      if (mapping.ok) assert.ok(mapping.landing.mtu >= one.attachment.mtu);
      else assert.ok(mtu < one.attachment.mtu, mapping.what);
    }),
  );
});
