import {
  networkName,
  type Attachment,
  type NicNetwork,
  type PortVlan,
} from '../protocol/network.ts';
import { carriedBy, filters, ovsCarries, tunnelOf } from './attachment.ts';
import type { Link, NetworkFacts } from './facts.ts';
import type { Landing } from './landing.ts';
import { settingsHere } from './port-settings.ts';
import { NO_ROUTED, refuseRouted, type RoutedRules } from './routed.ts';

export type Mapping =
  | { readonly ok: true; readonly landing: Landing; readonly evidence: string }
  | { readonly ok: false; readonly what: string; readonly hint: string };

/** User's names, then the configuration's: source link -> link here. */
export interface Names {
  readonly asked: Readonly<Record<string, string>>;
  readonly configured: Readonly<Record<string, string>>;
  /** VLANs allowed for guests of other hosts on bridges here; unlisted bridges allow all. */
  readonly vlans?: Readonly<Record<string, readonly number[]>>;
}

/** Finds the counterpart of a NIC's attachment here, or the reason for none. Pure. */
export function mapNic(
  nic: NicNetwork,
  names: Names,
  facts: NetworkFacts,
  rules: RoutedRules = NO_ROUTED,
): Mapping {
  const { attachment } = nic;
  switch (attachment.kind) {
    case 'bridge':
    case 'ovs':
      return withSettings(
        nic,
        checkVlans(
          checkMac(nic, checkMtu(nic, mapSegment(attachment, names, facts)), facts),
          names,
          facts,
        ),
      );
    case 'macvtap':
      return no(
        `${nic.port} is a macvtap of ${attachment.parent}, which a running guest cannot take along`,
        'Attach the NIC to a bridge at the source: QEMU is given a macvtap as a descriptor, and no path names it.',
      );
    case 'routed':
      return mapRouted(attachment, rules, facts);
  }
}

const no = (what: string, hint: string): Mapping => ({ ok: false, what, hint });

function mapRouted(
  own: Extract<Attachment, { kind: 'routed' }>,
  rules: RoutedRules,
  facts: NetworkFacts,
): Mapping {
  if (own.routes.length === 0) {
    return no(
      'no route leads to it at its source',
      'Give it a host route there, as it is to have here.',
    );
  }
  const refusal = refuseRouted(own, rules, facts);
  if (refusal !== undefined) return { ok: false, ...refusal };
  return { ok: true, landing: own, evidence: `routed: ${own.routes.join(', ')} to its own port` };
}

type Segment = Extract<Attachment, { kind: 'bridge' | 'ovs' }>;

function mapSegment(own: Segment, names: Names, facts: NetworkFacts): Mapping {
  const name = networkName(own) ?? '';
  const named = names.asked[name] ?? names.configured[name];
  if (named !== undefined) return landOn(own, named, facts, `${name} is mapped to ${named}`);
  const tunnel = own.kind === 'bridge' ? own.vxlan : undefined;
  if (tunnel === undefined) return landOn(own, name, facts, `by its name ${name}`);
  const carriers = facts.links
    .filter((link) => link.kind === 'bridge' && tunnelOf(link.ifname, facts)?.vni === tunnel.vni)
    .map(({ ifname }) => ifname);
  const chosen = carriers.includes(name) ? name : carriers[0];
  if (chosen === undefined) {
    return no(
      `no bridge here carries VNI ${tunnel.vni} of the source's ${name}`,
      `Make a bridge with a VXLAN device of VNI ${tunnel.vni} here, or name the bridge of the same segment with --map-network ${name}=BRIDGE.`,
    );
  }
  if (carriers.length > 1 && chosen !== name) {
    return no(
      `VNI ${tunnel.vni} is carried by ${carriers.join(', ')}`,
      `Choose one with --map-network ${name}=BRIDGE.`,
    );
  }
  return landOn(own, chosen, facts, `VNI ${tunnel.vni} is carried by ${chosen}`);
}

function landOn(own: Segment, name: string, facts: NetworkFacts, why: string): Mapping {
  if (facts.ovsPorts.some(({ bridge }) => bridge === name)) return landOnOvs(own, name, facts, why);
  const bridge = facts.links.find(({ ifname, kind }) => ifname === name && kind === 'bridge');
  if (bridge === undefined) {
    return no(
      `there is no bridge ${name}`,
      `Make it here, map it under \`bridges\` in the agent's configuration, or name another with --map-network ${networkName(own)}=BRIDGE.`,
    );
  }
  return landOnBridge(own, bridge, facts, why);
}

function landOnOvs(own: Segment, name: string, facts: NetworkFacts, why: string): Mapping {
  const { mtu } = facts.links.find(({ ifname }) => ifname === name) ?? own;
  // A Linux bridge's default is untagged, and not VLAN 1 here.
  const isDefault = own.kind === 'bridge' && vlansOf(own.vlan).every((tag) => tag === 1);
  const wanted = isDefault ? [] : vlansOf(own.vlan);
  const missing = wanted.filter((tag) => !ovsCarries(name, tag, facts));
  if (missing.length > 0) {
    return no(
      `no port of ${name} carries VLAN ${missing.join(', ')} to other hosts`,
      `Let its uplink carry it: \`ovs-vsctl add port UPLINK trunks ${missing[0]}\`; or name the bridge that does with --map-network ${networkName(own)}=BRIDGE.`,
    );
  }
  const vlans = wanted.length === 0 ? '' : `, VLAN ${wanted.join(', ')}`;
  const marks = isDefault ? {} : marked(own);
  const landing = { kind: 'ovs', bridge: name, mtu, ...marks } as const;
  return { ok: true, landing, evidence: `${why} (Open vSwitch)${vlans}` };
}

function marked(own: Segment): { readonly vlan?: PortVlan } {
  return own.vlan === undefined ? {} : { vlan: own.vlan };
}

function landOnBridge(own: Segment, bridge: Link, facts: NetworkFacts, why: string): Mapping {
  const landing = { kind: 'bridge', bridge: bridge.ifname, mtu: bridge.mtu } as const;
  if (own.kind === 'ovs' && own.vlan?.mode === 'trunk' && own.vlan.tags.length === 0) {
    return no(
      `the guest's port at the source carries all VLANs, and ${bridge.ifname} has to be configured with them`,
      `Name them there: \`ovs-vsctl set port PORT trunks=10,20\`.`,
    );
  }
  const wanted = vlansOf(own.vlan);
  if (!filters(bridge)) {
    // A bridge's default, VLAN 1 for all, equals a bridge without VLANs.
    if (wanted.every((tag) => tag === 1)) return { ok: true, landing, evidence: why };
    return no(
      `${bridge.ifname} knows no VLANs, and the guest is in VLAN ${wanted.join(', ')}`,
      `Set vlan_filtering on ${bridge.ifname}, or name the bridge that is that VLAN with --map-network ${networkName(own)}=BRIDGE.`,
    );
  }
  const carried = carriedBy(bridge.ifname, facts);
  const missing = wanted.filter((tag) => !carried.has(tag));
  if (missing.length > 0) {
    return no(
      `no port of ${bridge.ifname} carries VLAN ${missing.join(', ')}`,
      `Add it to the uplink: \`bridge vlan add dev UPLINK vid ${missing[0]}\`.`,
    );
  }
  const vlans = wanted.length === 0 ? '' : `, VLAN ${wanted.join(', ')}`;
  return { ok: true, landing: { ...landing, ...marked(own) }, evidence: `${why}${vlans}` };
}

function vlansOf(vlan: PortVlan | undefined): number[] {
  if (vlan === undefined) return [];
  if (vlan.mode === 'access') return [vlan.tag];
  return [...new Set([...(vlan.native === undefined ? [] : [vlan.native]), ...vlan.tags])];
}

/** The guest's usual frame size must fit here too. */
function checkMtu(nic: NicNetwork, mapping: Mapping): Mapping {
  if (!mapping.ok || mapping.landing.mtu >= nic.attachment.mtu) return mapping;
  const { mtu } = mapping.landing;
  const where = networkName(
    mapping.landing.kind === 'routed' ? nic.attachment : { ...mapping.landing },
  );
  return no(
    `${where} has an MTU of ${mtu} and the guest's port at the source one of ${nic.attachment.mtu}`,
    `Raise the MTU of ${where} and its uplink to ${nic.attachment.mtu}: longer frames would vanish without a word.`,
  );
}

/** Two ports with one MAC would both answer. */
function checkMac(nic: NicNetwork, mapping: Mapping, facts: NetworkFacts): Mapping {
  if (!mapping.ok || mapping.landing.kind !== 'bridge') return mapping;
  const { bridge } = mapping.landing;
  const twin = facts.forwarding.find(({ mac, ifname }) => {
    const port = facts.links.find((each) => each.ifname === ifname);
    return mac.toLowerCase() === nic.mac && port?.master === bridge && port.kind === 'tun';
  });
  if (twin === undefined) return mapping;
  return no(
    `${nic.mac} is behind ${twin.ifname} of ${bridge} already`,
    'Two guests with one MAC cannot be distinguished: give one of them another.',
  );
}

/** An untagged port has all VLANs on Open vSwitch, and the first one on a Linux bridge. */
function checkVlans(mapping: Mapping, { vlans }: Names, facts: NetworkFacts): Mapping {
  if (!mapping.ok || mapping.landing.kind === 'routed') return mapping;
  const { bridge: name, kind, vlan } = mapping.landing;
  const allowed = vlans !== undefined && Object.hasOwn(vlans, name) ? vlans[name] : undefined;
  if (allowed === undefined) return mapping;
  const bridge = facts.links.find(({ ifname }) => ifname === name);
  if (kind === 'bridge' && (bridge === undefined || !filters(bridge))) return mapping;
  const tags = vlansOf(vlan);
  const hint = `Add it to \`network.guestVlans\` of this host if guests of others may have it.`;
  if (tags.length === 0 && kind === 'ovs') return no(`it would have all VLANs of ${name}`, hint);
  const more = (tags.length === 0 ? [1] : tags).filter((tag) => !allowed.includes(tag));
  if (more.length === 0) return mapping;
  return no(`guests of other hosts may not have VLAN ${more.join(', ')} of ${name}`, hint);
}

/** The port here gets the source port's settings. A setting that isolates guests is never dropped. */
function withSettings(nic: NicNetwork, mapping: Mapping): Mapping {
  if (!mapping.ok || mapping.landing.kind === 'routed') return mapping;
  const { landing } = mapping;
  const { settings, unprotected } = settingsHere(nic, landing.kind);
  if (unprotected.length > 0) {
    return no(
      `its port at the source has ${unprotected.join(', ')}, which a port of ${landing.bridge} (Open vSwitch) cannot have`,
      `Name a Linux bridge with --map-network ${networkName(nic.attachment)}=BRIDGE, or take the setting back at the source.`,
    );
  }
  return settings === undefined ? mapping : { ...mapping, landing: { ...landing, settings } };
}
