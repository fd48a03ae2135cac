import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeAddresses, ownEntries } from '../../../src/network/connections/whose.ts';
import { connection, type Connection } from '../../../src/protocol/peer/connections.ts';
import type { Attachment } from '../../../src/protocol/network.ts';

const MAC = '52:54:00:00:00:21';
const BRIDGE = { kind: 'bridge', bridge: 'br0', mtu: 1500 } as const;
const around = {
  facts: {
    addresses: [{ ifname: 'eth0', addr_info: [{ local: '10.9.0.1', prefixlen: 24 }] }],
    neighbours: [
      { dst: '10.9.0.21', dev: 'br0', lladdr: MAC.toUpperCase() },
      { dst: '10.9.0.22', dev: 'br0', lladdr: '52:54:00:00:00:22' },
      // Asked for in vain.
      { dst: '10.9.0.23', dev: 'br0' },
    ],
  },
  hosts: ['10.9.0.2'],
};

const nic = (addresses: string[], attachment: Attachment = BRIDGE) => [
  { mac: MAC, addresses, attachment },
];

describe("a guest's addresses from its source", () => {
  test("a guest's addresses from its source count if this host has no other information", () => {
    const { own, refused } = judgeAddresses(nic(['10.9.0.21', '10.9.0.23', 'fd09::21']), around);
    assert.deepEqual([...own], ['10.9.0.21', '10.9.0.23', 'fd09::21']);
    assert.deepEqual(refused, []);
  });

  test("a guest's addresses are ignored if they belong to a host, another machine, or nothing", () => {
    const named = ['10.9.0.1', '10.9.0.2', '10.9.0.22', '127.0.0.1', '224.0.0.1', 'x'];
    const { own, refused } = judgeAddresses(nic(named), around);
    assert.deepEqual([...own], []);
    assert.deepEqual(refused, [
      '10.9.0.1 is one of this host',
      '10.9.0.2 is one of another host of the fleet',
      '10.9.0.22 is one of 52:54:00:00:00:22 here',
      '127.0.0.1 is loopback',
      '224.0.0.1 is multicast',
      'x is no address',
    ]);
  });

  test("a guest's addresses count if a route to them was admitted, whichever machine still answers", () => {
    const routed = (address: string): Attachment => ({
      kind: 'routed',
      mac: MAC,
      routes: [`${address}/32`],
      gateways: [],
      proxyArp: false,
      proxyNdp: false,
      mtu: 1500,
    });
    const ownOf = (address: string): string[] => [
      ...judgeAddresses(nic([address], routed(address)), around).own,
    ];
    assert.deepEqual(ownOf('10.9.0.22'), ['10.9.0.22']);
    // Not even then where it is this host's own.
    assert.deepEqual(ownOf('10.9.0.1'), []);
  });
});

const entry = (from: string, to: string): Connection =>
  connection.parse({
    protocol: 'udp',
    original: { from, to },
    reply: { from: to, to: from },
    originalPorts: { from: 53, to: 1000 },
    replyPorts: { from: 1000, to: 53 },
    timeoutS: 30,
    seenReply: true,
    assured: false,
    mark: 0,
    zone: 0,
  });

describe("a source's connections", () => {
  test("the accepted connections are the guest's, and none with this host at the other end", () => {
    const judged = judgeAddresses(nic(['10.9.0.21', '10.9.0.1']), around);
    const kept = entry('10.9.0.99', '10.9.0.21');
    const entries = [
      kept,
      entry('10.9.0.66', '10.9.0.1'),
      entry('10.9.0.21', '10.9.0.1'),
      entry('10.9.0.66', '10.9.0.77'),
    ];
    assert.deepEqual(ownEntries(entries, judged, around), [kept]);
  });
});
