import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attachmentOf, nicOf } from '../../src/network/attachment.ts';
import { hostFacts, MAC } from './host-facts.ts';

const facts = hostFacts();

describe('what a port is attached to', () => {
  test('a bridge', () => {
    assert.deepEqual(attachmentOf('tap1', facts), { kind: 'bridge', bridge: 'br0', mtu: 1500 });
  });

  test('a bridge that goes by VLANs, as an access port or as a trunk', () => {
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

  test('a bridge over a VXLAN tunnel, with its flood list', () => {
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

  test('nothing but host routes, with the gateway that the guest knows', () => {
    assert.deepEqual(attachmentOf('tap4', facts), {
      kind: 'routed',
      mtu: 1500,
      mac: '0a:00:00:00:00:01',
      routes: ['10.88.0.21/32', 'fd00::21/128'],
      gateways: ['169.254.1.1/32'],
      proxyArp: true,
      proxyNdp: false,
    });
  });

  test('a lower device, by macvtap', () => {
    const expected = { kind: 'macvtap', parent: 'up0', mode: 'bridge', mtu: 1500 };
    assert.deepEqual(attachmentOf('mv0', facts), expected);
  });

  test('a bridge of Open vSwitch, with its tag', () => {
    const links = [...facts.links, { ifname: 'tap5', mtu: 1500, kind: 'tun', data: {} }];
    assert.deepEqual(attachmentOf('tap5', hostFacts({ links })), {
      kind: 'ovs',
      bridge: 'ovs0',
      mtu: 1500,
      vlan: { mode: 'access', tag: 7 },
    });
  });

  test('nothing, where it is not there or nobody leads to it', () => {
    assert.equal(attachmentOf('gone', facts), undefined);
    assert.equal(attachmentOf('tap4', hostFacts({ routes: [] })), undefined);
  });
});

test('a NIC has the addresses at which its host has seen it', () => {
  const nic = { id: 'net0', mac: MAC.toUpperCase(), port: 'tap1' };
  assert.deepEqual(nicOf(nic, facts)?.addresses, ['10.9.0.7']);
  assert.equal(nicOf(nic, facts)?.mac, MAC);
  const routed = nicOf({ ...nic, mac: '52:54:00:00:00:09', port: 'tap4' }, facts);
  assert.deepEqual(routed?.addresses, ['10.88.0.21', 'fd00::21']);
});
