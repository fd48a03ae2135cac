import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attachmentOf, nicOf, ovsCarries } from '../../src/network/attachment.ts';
import type { OvsPort } from '../../src/network/facts.ts';
import { hostFacts, MAC, ROUTED_BOTH } from './host-facts.ts';

const facts = hostFacts();

describe('attachment of a port', () => {
  test('a port is attached to a bridge', () => {
    assert.deepEqual(attachmentOf('tap1', facts), { kind: 'bridge', bridge: 'br0', mtu: 1500 });
  });

  test('a port is attached to a VLAN-aware bridge, as an access port or as a trunk', () => {
    const vlan = { mode: 'access', tag: 10 };
    assert.deepEqual(attachmentOf('tap2', facts), {
      kind: 'bridge',
      bridge: 'brv',
      mtu: 1500,
      vlan,
    });
    const trunk = { mode: 'trunk', native: 1, tags: [10, 11, 12] };
    const found = attachmentOf('up0', facts);
    assert.deepEqual(found, { kind: 'bridge', bridge: 'brv', mtu: 1500, vlan: trunk });
  });

  test('a port is attached to a bridge over a VXLAN tunnel, with its flood list', () => {
    const vxlan = {
      device: 'vx',
      vni: 100,
      local: '10.0.0.1',
      learning: false,
      flood: ['10.0.0.2'],
    };
    assert.deepEqual(attachmentOf('tap3', facts), {
      kind: 'bridge',
      bridge: 'brx',
      mtu: 1450,
      vxlan,
    });
  });

  test("a port is attached to host routes only, with the guest's gateway", () => {
    assert.deepEqual(attachmentOf('tap4', facts), ROUTED_BOTH);
  });

  test('a port is attached to a lower device, by macvtap', () => {
    const expected = { kind: 'macvtap', parent: 'up0', mode: 'bridge', mtu: 1500 };
    assert.deepEqual(attachmentOf('mv0', facts), expected);
  });

  test('a port is attached to an Open vSwitch bridge, with its tag', () => {
    const links = [...facts.links, { ifname: 'tap5', mtu: 1500, kind: 'tun', data: {} }];
    assert.deepEqual(attachmentOf('tap5', hostFacts({ links })), {
      kind: 'ovs',
      bridge: 'ovs0',
      mtu: 1500,
      vlan: { mode: 'access', tag: 7 },
    });
  });

  test('a port is attached to an Open vSwitch bridge, in the VLANs of its mode, tag and trunks', () => {
    const links = [...facts.links, { ifname: 'tap5', mtu: 1500, kind: 'tun', data: {} }];
    const vlanOf = (port: Partial<OvsPort>): unknown => {
      const own = { name: 'tap5', bridge: 'ovs0', tag: undefined, trunks: [], ...port };
      const found = attachmentOf('tap5', hostFacts({ links, ovsPorts: [own] }));
      return found?.kind === 'ovs' ? (found.vlan ?? 'all') : 'unknown';
    };
    const native = { tag: 7, vlanMode: 'native-untagged' };
    assert.equal(vlanOf({}), 'all');
    assert.equal(vlanOf({ tag: 0 }), 'all');
    assert.deepEqual(vlanOf({ tag: 7, trunks: [8] }), { mode: 'access', tag: 7 });
    assert.deepEqual(vlanOf({ trunks: [8, 9] }), { mode: 'trunk', tags: [8, 9] });
    assert.deepEqual(vlanOf({ tag: 7, vlanMode: 'trunk' }), 'all');
    assert.deepEqual(vlanOf({ ...native, trunks: [8] }), { mode: 'trunk', native: 7, tags: [8] });
    assert.deepEqual(vlanOf(native), { mode: 'trunk', native: 7, tags: [] });
    assert.equal(vlanOf({ vlanMode: 'native-untagged' }), 'all');
    for (const odd of [{ vlanMode: 'dot1q-tunnel', tag: 7 }, { trunks: [0, 8] }])
      assert.equal(vlanOf(odd), 'unknown');
  });

  test('a port that is missing, or has no route, is attached to nothing', () => {
    assert.equal(attachmentOf('gone', facts), undefined);
    assert.equal(attachmentOf('tap4', hostFacts({ routes: [] })), undefined);
  });
});

describe('a bridge of Open vSwitch', () => {
  const carries = (tag: number, ...ports: Partial<OvsPort>[]): boolean => {
    const ovsPorts = ports.map((port) => {
      return { name: 'up1', bridge: 'ovs0', tag: undefined, trunks: [], ...port };
    });
    return ovsCarries('ovs0', tag, hostFacts({ ovsPorts }));
  };

  test('an Open vSwitch bridge carries a VLAN by an uplink in it, or by a trunk of it or of all', () => {
    assert.equal(carries(7, {}), true);
    assert.equal(carries(7, { trunks: [6, 7] }), true);
    assert.equal(carries(7, { tag: 7 }), true);
    assert.equal(carries(7, { tag: 7, vlanMode: 'native-untagged', trunks: [6] }), true);
  });

  test('an Open vSwitch bridge does not carry a VLAN by other uplinks, its internal port, or a guest', () => {
    assert.equal(carries(7, { trunks: [6] }, { name: 'up2', tag: 6 }), false);
    assert.equal(carries(7, { name: 'ovs0' }, { name: 'tap1', tag: 7 }), false);
    assert.equal(carries(7, { bridge: 'ovs1' }), false);
    assert.equal(carries(7), false);
  });
});

test('a NIC has the addresses that its host has seen', () => {
  const nic = { id: 'net0', mac: MAC.toUpperCase(), port: 'tap1' };
  assert.deepEqual(nicOf(nic, facts)?.addresses, ['10.9.0.7']);
  assert.equal(nicOf(nic, facts)?.mac, MAC);
  const routed = nicOf({ ...nic, mac: '52:54:00:00:00:09', port: 'tap4' }, facts);
  assert.deepEqual(routed?.addresses, ['10.88.0.21', 'fd00::21']);
});
