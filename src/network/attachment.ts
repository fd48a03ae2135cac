import { defined } from '../protocol/defined.ts';
import {
  nicNetwork,
  type Attachment,
  type NicNetwork,
  type PortVlan,
} from '../protocol/network.ts';
import type { Link, NetworkFacts, OvsPort } from './facts.ts';
import { settingsOfPort } from './port-settings.ts';

export interface SourceNic {
  readonly id: string;
  readonly mac: string;
  readonly port: string;
}

const ANY_MAC = '00:00:00:00:00:00';

/** Attachment of a NIC from its host's network; undefined if unknown. Pure. */
export function nicOf(nic: SourceNic, facts: NetworkFacts): NicNetwork | undefined {
  const found = attachmentOf(nic.port, facts);
  if (found === undefined) return undefined;
  const mac = nic.mac.toLowerCase();
  const addresses = addressesOf(mac, nic.port, facts);
  const links = facts.links.filter(({ ifname }) => ifname === nic.port);
  const [rules, limits] = [links.flatMap(linkRules), links.flatMap(linkLimits)];
  const own = {
    ...(rules.length === 0 ? {} : { rules }),
    ...(limits.length === 0 ? {} : { limits }),
  };
  const parsed = nicNetwork.safeParse({ ...nic, mac, addresses, attachment: found, ...own });
  return parsed.success ? parsed.data : undefined;
}

/** Owner's settings of a link that the destination's port lacks. Pure. */
export function linkLimits({ flags, group, txqlen }: Partial<Link>): string[] {
  const found: string[] = [];
  // Such a port disconnects its guest.
  if (flags !== undefined && !flags.includes('UP')) found.push('the state down');
  if (group !== undefined && group !== 'default') found.push(`the link group ${group}`);
  if (txqlen !== undefined && !STANDARD_QUEUES.has(txqlen)) found.push(`the queue of ${txqlen}`);
  return found;
}

/** Queue lengths of new taps, in current kernels and before 5.x. */
const STANDARD_QUEUES: ReadonlySet<number> = new Set([500, 1000]);

/** XDP may drop and rewrite frames, like a filter. Pure. */
export function linkRules({ xdp }: Partial<Link>): string[] {
  return xdp === undefined ? [] : ['XDP program of the port'];
}

export function attachmentOf(port: string, facts: NetworkFacts): Attachment | undefined {
  const link = facts.links.find((each) => each.ifname === port);
  if (link === undefined) return undefined;
  const { mtu } = link;
  const ovs = facts.ovsPorts.find((each) => each.name === port);
  if (ovs !== undefined) {
    const vlan = vlanOfOvs(ovs);
    // A mode of Open vSwitch only, which has no equivalent elsewhere.
    if (vlan === 'unknown') return undefined;
    const { bridge, ids } = ovs;
    return {
      kind: 'ovs',
      bridge,
      mtu,
      ...defined({ vlan, ids }),
      ...(ovs.isProtected === true ? { settings: { isolated: true } } : {}),
    };
  }
  if (link.kind === 'macvtap') {
    const mode = typeof link.data['mode'] === 'string' ? link.data['mode'] : 'unknown';
    return { kind: 'macvtap', parent: link.link ?? '', mode, mtu };
  }
  const bridge = facts.links.find((each) => each.ifname === link.master);
  if (bridge?.kind === 'bridge') return bridgeAttachment(link, bridge, facts);
  return bridge === undefined ? routedAttachment(link, facts) : undefined;
}

function bridgeAttachment(port: Link, bridge: Link, facts: NetworkFacts): Attachment {
  const vlan = filters(bridge) ? vlanOf(port.ifname, facts) : undefined;
  const tunnel = tunnelOf(bridge.ifname, facts);
  const settings = settingsOfPort(port, facts.forwarding);
  return {
    kind: 'bridge',
    bridge: bridge.ifname,
    // The smaller MTU limits frames.
    mtu: Math.min(port.mtu, bridge.mtu),
    ...defined({ vlan, vxlan: tunnel, settings }),
  };
}

/** True for a VLAN-aware bridge. */
export function filters(bridge: Link): boolean {
  return bridge.data['vlan_filtering'] === 1 || bridge.data['vlan_filtering'] === true;
}

/** VLANs of a bridge port. The bridge's default, VLAN 1 untagged, counts as an access port. */
function vlanOf(port: string, { vlans }: NetworkFacts): PortVlan | undefined {
  const own = vlans.filter(({ ifname }) => ifname === port).flatMap((entry) => entry.vlans);
  const native = own.find(({ flags }) => flags?.includes('PVID'))?.vlan;
  const tagged = own.filter(({ flags }) => flags?.includes('Egress Untagged') !== true);
  if (tagged.length === 0)
    return native === undefined ? undefined : { mode: 'access', tag: native };
  const tags = new Set(tagged.flatMap((each) => rangeOf(each.vlan, each.vlanEnd)));
  return {
    mode: 'trunk',
    tags: [...tags].toSorted((one, other) => one - other),
    ...defined({ native }),
  };
}

/**
 * VLANs of an Open vSwitch port. An unset port carries everything; a trunk with a native VLAN and no tags carries
 * everything as well. `unknown`: a mode that other kinds of ports lack.
 */
function vlanOfOvs({ tag = 0, trunks, vlanMode }: OvsPort): PortVlan | undefined | 'unknown' {
  const mode = vlanMode ?? (tag === 0 ? 'trunk' : 'access');
  // Untagged frames are in VLAN 0 there.
  if (mode === 'access') return tag === 0 ? undefined : { mode, tag };
  if (mode !== 'trunk' && mode !== 'native-untagged') return 'unknown';
  const native = mode === 'trunk' || tag === 0 ? undefined : tag;
  if (native === undefined && trunks.length === 0) return undefined;
  const isKnown = trunks.every((each) => each >= 1 && each <= 4094);
  if (!isKnown || (mode !== 'trunk' && native === undefined)) return 'unknown';
  return { mode: 'trunk', tags: [...trunks], ...defined({ native }) };
}

/** True if frames of a VLAN leave an Open vSwitch bridge by an outside port. Pure. */
export function ovsCarries(bridge: string, tag: number, facts: NetworkFacts): boolean {
  const ends = facts.links.filter(({ kind }) => kind === 'tun' || kind === 'openvswitch');
  const inner = new Set([bridge, ...ends.map(({ ifname }) => ifname)]);
  return facts.ovsPorts.some((port) => {
    if (port.bridge !== bridge || inner.has(port.name)) return false;
    const mode = port.vlanMode ?? (port.tag === undefined ? 'trunk' : 'access');
    if (mode !== 'trunk' && port.tag === tag) return true;
    return mode !== 'access' && (port.trunks.length === 0 || port.trunks.includes(tag));
  });
}

function rangeOf(from: number, to = from): number[] {
  const [first, last] = [Math.max(1, from), Math.min(4094, to)];
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}

/** VLANs on all ports of the bridge. Pure. */
export function carriedBy(bridge: string, facts: NetworkFacts): ReadonlySet<number> {
  const ports = new Set(
    facts.links.filter(({ master }) => master === bridge).map(({ ifname }) => ifname),
  );
  const carried = facts.vlans
    .filter(({ ifname }) => ports.has(ifname))
    .flatMap(({ vlans }) => vlans.flatMap((each) => rangeOf(each.vlan, each.vlanEnd)));
  return new Set(carried);
}

/** VXLAN device of a bridge; the first of several. */
export function tunnelOf(
  bridge: string,
  { links, forwarding }: NetworkFacts,
): Extract<Attachment, { kind: 'bridge' }>['vxlan'] {
  const device = links.find((each) => each.kind === 'vxlan' && each.master === bridge);
  const vni = device?.data['id'];
  if (device === undefined || typeof vni !== 'number') return undefined;
  const own = forwarding.filter((each) => each.ifname === device.ifname && each.mac === ANY_MAC);
  const group = device.data['group'] ?? device.data['remote'];
  const flood = own.flatMap(({ dst }) => (dst === undefined ? [] : [dst]));
  const local = device.data['local'] ?? device.data['local6'];
  return {
    device: device.ifname,
    vni,
    ...(typeof local === 'string' ? { local } : {}),
    learning: device.data['learning'] !== false,
    flood: [...new Set([...flood, ...(typeof group === 'string' ? [group] : [])])],
  };
}

function routedAttachment(link: Link, facts: NetworkFacts): Attachment | undefined {
  const routes = facts.routes.flatMap(({ dst, dev }) =>
    dev === link.ifname ? (hostRoute(dst) ?? []) : [],
  );
  if (routes.length === 0) return undefined;
  const own = facts.addresses.filter(({ ifname }) => ifname === link.ifname);
  // IPv6 link-local addresses follow from the port's MAC, which is kept.
  const gateways = own
    .flatMap(({ addr_info: held }) => held.map((each) => `${each.local}/${each.prefixlen}`))
    .filter((gateway) => !/^fe80:.*\/64$/.test(gateway));
  return {
    kind: 'routed',
    mtu: link.mtu,
    mac: (link.address ?? '').toLowerCase(),
    routes: [...new Set(routes)],
    gateways,
    proxyArp: facts.proxyArp.has(link.ifname),
    proxyNdp: facts.proxyNdp.has(link.ifname),
  };
}

/** iproute2 omits the length of a route to one address. */
function hostRoute(destination: string): string | undefined {
  if (/^[0-9.]+(\/32)?$/.test(destination)) return `${destination.replace(/\/32$/, '')}/32`;
  if (/^[0-9a-f:.]+(\/128)?$/i.test(destination) && destination.includes(':')) {
    return `${destination.replace(/\/128$/, '')}/128`;
  }
  return undefined;
}

/** Addresses that the host saw with the guest's MAC, or routes to its port. */
function addressesOf(mac: string, port: string, facts: NetworkFacts): string[] {
  const seen = facts.neighbours.flatMap((each) =>
    each.lladdr?.toLowerCase() === mac ? [each.dst] : [],
  );
  const routed = facts.routes.flatMap(({ dst, dev }) =>
    dev === port ? (hostRoute(dst)?.replace(/\/\d+$/, '') ?? []) : [],
  );
  return [...new Set([...seen, ...routed])].slice(0, 64);
}
