/** A host's network for tests, from what its tools would say. */
import {
  parseAddresses,
  parseForwarding,
  parseLinks,
  parseNeighbours,
  parseVlans,
  type NetworkFacts,
} from '../../src/network/facts.ts';
import type { Attachment } from '../../src/protocol/network.ts';

export const MAC = '52:54:00:00:00:02';

/** What lets the routed tap4 come. */
export const ROUTED = {
  prefixes: ['10.88.0.0/24', 'fd00::/64', '169.254.1.1/32'],
  hosts: ['10.0.0.2', 'b.example'],
};

/** A guest’s port that is routed, and not on a bridge. */
export const ROUTED_PORT = {
  kind: 'routed',
  mtu: 1500,
  mac: '0a:00:00:00:00:01',
  routes: ['10.88.0.21/32'],
  gateways: [],
  proxyArp: true,
  proxyNdp: false,
} as const satisfies Attachment;

/** The same with an address of each family, and the gateway that its guest knows. */
export const ROUTED_BOTH = {
  ...ROUTED_PORT,
  routes: ['10.88.0.21/32', 'fd00::21/128'],
  gateways: ['169.254.1.1/32'],
} as const satisfies Attachment;

const tun = { info_kind: 'tun', info_data: { type: 'tap' } };
const bridge = (filtering = 0) => ({
  info_kind: 'bridge',
  info_data: { vlan_filtering: filtering },
});

/** Bridges br0 (plain, tap1), brv (VLANs: tap2, uplink), brx (VNI 100: vx, tap3), a routed tap4, a macvtap mv0. */
export function hostFacts(change: Partial<NetworkFacts> = {}): NetworkFacts {
  return {
    links: parseLinks(
      JSON.stringify([
        { ifname: 'br0', mtu: 1500, linkinfo: bridge() },
        { ifname: 'brv', mtu: 1500, linkinfo: bridge(1) },
        { ifname: 'brx', mtu: 1450, linkinfo: bridge() },
        { ifname: 'tap1', mtu: 1500, master: 'br0', linkinfo: tun },
        { ifname: 'tap2', mtu: 1500, master: 'brv', linkinfo: tun },
        { ifname: 'up0', mtu: 1500, master: 'brv' },
        { ifname: 'tap3', mtu: 1450, master: 'brx', linkinfo: tun },
        {
          ifname: 'vx',
          mtu: 1450,
          master: 'brx',
          linkinfo: {
            info_kind: 'vxlan',
            info_data: { id: 100, local: '10.0.0.1', learning: false },
          },
        },
        { ifname: 'tap4', mtu: 1500, address: '0A:00:00:00:00:01', linkinfo: tun },
        {
          ifname: 'mv0',
          mtu: 1500,
          link: 'up0',
          linkinfo: { info_kind: 'macvtap', info_data: { mode: 'bridge' } },
        },
      ]),
    ),
    addresses: parseAddresses(
      JSON.stringify([
        {
          ifname: 'tap4',
          addr_info: [
            { local: '169.254.1.1', prefixlen: 32 },
            { local: 'fe80::1234', prefixlen: 64 },
          ],
        },
      ]),
    ),
    routes: [
      { dst: '10.88.0.21', dev: 'tap4' },
      { dst: 'fd00::21', dev: 'tap4' },
      { dst: 'fe80::/64', dev: 'tap4' },
    ],
    neighbours: parseNeighbours(JSON.stringify([{ dst: '10.9.0.7', dev: 'br0', lladdr: MAC }])),
    forwarding: parseForwarding(
      JSON.stringify([
        { mac: '00:00:00:00:00:00', ifname: 'vx', dst: '10.0.0.2', flags: ['self'] },
        { mac: MAC, ifname: 'vx', dst: '10.0.0.2', flags: ['self'] },
      ]),
    ),
    vlans: parseVlans(
      JSON.stringify([
        { ifname: 'tap2', vlans: [{ vlan: 10, flags: ['PVID', 'Egress Untagged'] }] },
        {
          ifname: 'up0',
          vlans: [
            { vlan: 1, flags: ['PVID', 'Egress Untagged'] },
            { vlan: 10, vlanEnd: 12 },
          ],
        },
      ]),
    ),
    ovsPorts: [{ name: 'tap5', bridge: 'ovs0', tag: 7, trunks: [] }],
    proxyArp: new Set(['tap4']),
    proxyNdp: new Set(),
    ...change,
  };
}
