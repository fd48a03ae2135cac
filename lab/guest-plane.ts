/** How guests are joined with the client and each other, for each kind of network; lines as in network-plan.ts. */
import type { NetworkStep } from './namespaces.ts';
import {
  CLIENT_ADDRESS,
  GUEST_NETWORK,
  HOST_BRIDGE,
  LAB_VLAN,
  LAB_VNI,
  type LabNetwork,
  type LabPlan,
  namespaceOf,
  UNDERLAY_CLIENT,
  UNDERLAY_ROUTER,
  underlayAddress,
} from './plan.ts';

// Forwarding at once, and no multicast bookkeeping that could swallow an announcement.
export const BRIDGE = 'type bridge forward_delay 0 stp_state 0 mcast_snooping 0';

/**
 * The client never stops sending while a guest is dark. With a window that a long silence does not
 * fill, and no retransmission timer within the first second, new segments keep arriving; the guest's
 * first (selective) acknowledgement repairs what was lost at once, and the gap seen is the guest's own
 * instead of TCP's 200, 600, 1400 ms. A longer silence may be seen as up to twice its length; without
 * that timer a window that did fill would stall for good. Reno, since BBR closes its window from
 * time to time to measure the round trip.
 */
export const CLIENT_ROUTE_OPTIONS = 'initcwnd 1000 rto_min 1s congctl reno';

/** Tunnels take 50 bytes of each frame; with these the guests keep their 1500. */
const UNDERLAY_MTU = 1600;

export function kindOf({ network = 'bridge' }: Pick<LabPlan, 'network'>): LabNetwork {
  return network;
}

/** A host's links for its guests, with `lan0` to the switch. */
export function hostGuestPlane(plan: LabPlan, host: string, peer: string): string[] {
  const address = underlayAddress(host);
  const bridge = [`link add ${HOST_BRIDGE} ${BRIDGE}`];
  switch (kindOf(plan)) {
    case 'bridge':
      return [
        ...bridge,
        `link add lan0 type veth peer name lan-${host} netns ${peer}`,
        `link set lan0 master ${HOST_BRIDGE} up`,
        `link set ${HOST_BRIDGE} up`,
      ];
    case 'vxlan':
      return [
        ...bridge,
        ...underlay('lan0', `lan-${host}`, peer, `${address}/24`),
        tunnel('vxlan0', 'lan0', address),
        `link set vxlan0 master ${HOST_BRIDGE} up`,
        `link set ${HOST_BRIDGE} up`,
      ];
    case 'routed':
      return [
        ...underlay('lan0', `lan-${host}`, peer, `${address}/24`),
        `route add ${GUEST_NETWORK} via ${UNDERLAY_ROUTER}`,
      ];
    case 'vlan':
      return [
        `link add ${HOST_BRIDGE} ${BRIDGE} ${VLANS}`,
        `link add lan0 type veth peer name lan-${host} netns ${peer}`,
        `link set lan0 master ${HOST_BRIDGE} up`,
        `link set ${HOST_BRIDGE} up`,
      ];
    // Its bridge is there with the switch.
    case 'ovs':
      return trunk(host, peer);
  }
}

/** The client's links, with `eth0` towards the guests. */
export function clientPlane(plan: LabPlan, peer: string): string[] {
  const own = CLIENT_LINES;
  switch (kindOf(plan)) {
    case 'bridge':
    case 'vlan':
      return [`link add eth0 type veth peer name lan-client netns ${peer}`, ...own];
    case 'vxlan':
      return [
        ...underlay('under0', 'lan-client', peer, `${UNDERLAY_CLIENT}/24`),
        tunnel('eth0', 'under0', UNDERLAY_CLIENT),
        ...own,
      ];
    case 'routed':
      return [
        ...underlay('eth0', 'lan-client', peer, `${CLIENT_ADDRESS}/32`),
        `route add ${UNDERLAY_ROUTER} dev eth0`,
        `route add ${GUEST_NETWORK} via ${UNDERLAY_ROUTER} src ${CLIENT_ADDRESS} ${CLIENT_ROUTE_OPTIONS}`,
      ];
    // eth0 is a port of its switch, which comes after.
    case 'ovs':
      return trunk('client', peer);
  }
}

const CLIENT_LINES = [
  `addr add ${CLIENT_ADDRESS}/24 dev eth0 noprefixroute`,
  'link set eth0 up',
  `route add ${GUEST_NETWORK} dev eth0 src ${CLIENT_ADDRESS} ${CLIENT_ROUTE_OPTIONS}`,
];

function trunk(member: string, peer: string): string[] {
  return [`link add lan0 type veth peer name lan-${member} netns ${peer}`, 'link set lan0 up'];
}

function underlay(link: string, port: string, peer: string, address: string): string[] {
  const mtu = `mtu ${UNDERLAY_MTU}`;
  return [
    `link add ${link} ${mtu} type veth peer name ${port} ${mtu} netns ${peer}`,
    `addr add ${address} dev ${link}`,
    `link set ${link} up`,
  ];
}

function tunnel(device: string, link: string, local: string): string {
  return `link add ${device} mtu 1500 type vxlan id ${LAB_VNI} local ${local} dev ${link} dstport 4789`;
}

/** What is set once all links are there: flood lists of the tunnels, forwarding of routes. */
export function guestPlaneSteps(plan: LabPlan): NetworkStep[] {
  const at = (member: string): string => namespaceOf(plan.name, member);
  switch (kindOf(plan)) {
    case 'bridge':
      return [];
    case 'vlan':
      return [
        { tool: 'ip', namespace: at('switch'), lines: [`link set dev lan type bridge ${VLANS}`] },
        {
          tool: 'bridge',
          namespace: at('switch'),
          lines: [...plan.hosts.map((host) => tagged(`lan-${host}`)), untagged('lan-client')],
        },
        ...plan.hosts.map((host): NetworkStep => ({
          tool: 'bridge',
          namespace: at(host),
          lines: [tagged('lan0')],
        })),
      ];
    case 'ovs':
      return [
        ...[...plan.hosts, 'client'].map((member): NetworkStep => ({
          tool: 'ovs-vsctl',
          namespace: at(member),
          lines: [`add-port ${HOST_BRIDGE} lan0`],
        })),
        { tool: 'ovs-vsctl', namespace: at('client'), lines: ownPort('eth0', LAB_VLAN) },
        { tool: 'ip', namespace: at('client'), lines: CLIENT_LINES },
      ];
    case 'vxlan': {
      const ends = [
        ...plan.hosts.map((host) => [host, 'vxlan0', underlayAddress(host)] as const),
        ['client', 'eth0', UNDERLAY_CLIENT] as const,
      ];
      return ends.map(([member, device, own]) => ({
        tool: 'bridge',
        namespace: at(member),
        lines: ends
          .filter(([, , remote]) => remote !== own)
          .map(([, , remote]) => `fdb append 00:00:00:00:00:00 dev ${device} dst ${remote}`),
      }));
    }
    case 'routed':
      return [
        ...['switch', ...plan.hosts].map((member): NetworkStep => ({
          tool: 'sysctl',
          namespace: at(member),
          lines: FORWARDING,
        })),
        {
          tool: 'ip',
          namespace: at('switch'),
          lines: [`addr add ${UNDERLAY_ROUTER}/24 dev lan`, `route add ${CLIENT_ADDRESS} dev lan`],
        },
      ];
  }
}

/** A bridge that goes by VLANs, and puts no port into one by itself. */
const VLANS = 'vlan_filtering 1 vlan_default_pvid 0';

function tagged(port: string): string {
  return `vlan add dev ${port} vid ${LAB_VLAN}`;
}

export function untagged(port: string): string {
  return `${tagged(port)} pvid untagged`;
}

/** A port of Open vSwitch that is a link of its own host. */
export function ownPort(name: string, vlan: number): string[] {
  return [
    `--may-exist add-port ${HOST_BRIDGE} ${name} tag=${vlan}`,
    `set interface ${name} type=internal`,
  ];
}

const FORWARDING = [
  'ipv4/ip_forward=1',
  // The router sends frames back out of the port that they came in at: that is its work here.
  'ipv4/conf/all/send_redirects=0',
  'ipv4/conf/default/send_redirects=0',
  'ipv4/conf/all/rp_filter=0',
  'ipv4/conf/default/rp_filter=0',
];

/** The hook by which a host of a routed lab informs the router of a guest that has come; undefined in other labs. */
export function routeHook(plan: LabPlan, host: string): string | undefined {
  if (kindOf(plan) !== 'routed') return undefined;
  const router = namespaceOf(plan.name, 'switch');
  const replace = `ip -n ${router} route replace "$route" via ${underlayAddress(host)}`;
  return [
    '#!/bin/sh',
    '# after-resume: what a routing daemon would announce.',
    `grep -oE '10\\.88\\.0\\.[0-9]+/32' | sort -u | while read -r route; do ${replace}; done`,
    '',
  ].join('\n');
}
