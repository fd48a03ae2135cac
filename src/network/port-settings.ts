import { godwitError } from '../errors.ts';
import { passes, warns, type Finding } from '../migration/preflight/finding.ts';
import { defined } from '../protocol/defined.ts';
import type { NicNetwork } from '../protocol/network.ts';
import {
  MAX_STATIC_MACS,
  portSettings,
  protects,
  settingNames,
  settingWords,
  type PortSettings,
  type StaticMac,
} from '../protocol/port-settings.ts';
import type { Forwarding, Link } from './facts.ts';
import type { ToolCommand, Landing } from './landing.ts';

/** Bridge port settings, as reported by the kernel and set by `ip`. Pure. */

type Plain = Exclude<keyof PortSettings, 'staticMacs'>;

/** Defaults of a new port in the kernel's `br_add_if`. */
const STANDARD: Readonly<Record<Plain, boolean | number | readonly number[]>> = {
  isolated: false,
  locked: false,
  mab: false,
  guard: false,
  root_block: false,
  learning: true,
  flood: true,
  mcast_flood: true,
  bcast_flood: true,
  mcast_to_unicast: false,
  fastleave: false,
  hairpin: false,
  neigh_suppress: false,
  neigh_vlan_suppress: false,
  vlan_tunnel: false,
  proxy_arp: false,
  proxy_arp_wifi: false,
  // 3 is the state of a recently seen router, and not a setting.
  mcast_router: [1, 3],
  priority: 32,
  // Derived from the link's speed (`port_cost`), differently between kernels.
  cost: [2, 4, 19, 100],
  group_fwd_mask: 0,
};

/** Names that differ in `ip -d link`. */
const REPORTED_AS: Partial<Record<Plain, string>> = { mcast_router: 'multicast_router' };

/** Settings that the owner of a Linux bridge port changed; undefined if none. */
export function settingsOfPort(
  port: Link,
  forwarding: readonly Forwarding[],
): PortSettings | undefined {
  const changed = (Object.keys(STANDARD) as Plain[]).flatMap((name) => {
    const value = numberOrSwitch(port.portData?.[REPORTED_AS[name] ?? name]);
    return value === undefined || isStandard(name, value) ? [] : [[name, value]];
  });
  const staticMacs = staticMacsOf(port, forwarding);
  if (staticMacs.length > MAX_STATIC_MACS) {
    const what = `to carry the static entries of ${port.ifname} over`;
    const reason = `it has more than ${MAX_STATIC_MACS}`;
    throw godwitError('GODWIT_CAPABILITY', { what, reason }, { hint: 'Remove the others.' });
  }
  const found = {
    ...(Object.fromEntries(changed) as object),
    ...(staticMacs.length === 0 ? {} : { staticMacs }),
  };
  const settings = portSettings.parse(found);
  return settingNames(settings).length === 0 ? undefined : settings;
}

/** iproute2 writes the mask as hexadecimal text. */
function numberOrSwitch(value: unknown): boolean | number | undefined {
  if (typeof value === 'boolean' || typeof value === 'number') return value;
  const number = typeof value === 'string' ? Number(value) : Number.NaN;
  return Number.isInteger(number) ? number : undefined;
}

function isStandard(name: Plain, value: boolean | number): boolean {
  const standard = STANDARD[name];
  return typeof standard === 'object' ? standard.includes(Number(value)) : standard === value;
}

/** The kernel's entry for the port's MAC does not count. */
function staticMacsOf(port: Link, forwarding: readonly Forwarding[]): StaticMac[] {
  const own = port.address?.toLowerCase();
  return forwarding
    .filter(
      ({ ifname, master, state, mac }) =>
        ifname === port.ifname &&
        master !== undefined &&
        (state === 'static' || (state === 'permanent' && mac.toLowerCase() !== own)),
    )
    .slice(0, MAX_STATIC_MACS + 1)
    .map(({ mac, vlan, flags }) => ({
      mac: mac.toLowerCase(),
      ...defined({ vlan }),
      ...(flags?.includes('sticky') === true ? { sticky: true } : {}),
    }));
}

/** Command with a Linux bridge port's settings; undefined if none are needed. */
export function settingsCommand(
  port: string,
  settings: PortSettings = {},
): ToolCommand | undefined {
  const words = settingNames(settings).flatMap((name) => {
    const value = settings[name];
    if (value === undefined || typeof value === 'object') return [];
    return [name, typeof value === 'boolean' ? (value ? 'on' : 'off') : `${value}`];
  });
  if (words.length === 0) return undefined;
  return { tool: 'ip', words: ['link', 'set', 'dev', port, 'type', 'bridge_slave', ...words] };
}

/**
 * Settings that a NIC's port gets in a bridge here, and names of isolating settings that this bridge lacks. A Linux
 * bridge supports all, Open vSwitch only `isolated`. Static entries for MACs other than the NIC's are dropped,
 * because a peer could redirect the frames of other MACs.
 */
export function settingsHere(
  { mac, attachment }: NicNetwork,
  kind: 'bridge' | 'ovs',
): { readonly settings?: PortSettings; readonly unprotected: readonly string[] } {
  const own = 'settings' in attachment ? attachment.settings : undefined;
  if (own === undefined) return { unprotected: [] };
  if (kind === 'bridge') {
    const { staticMacs, ...plain } = own;
    const entries = staticMacs?.filter((each) => each.mac === mac) ?? [];
    const settings = { ...plain, ...(entries.length === 0 ? {} : { staticMacs: entries }) };
    return { ...(settingNames(settings).length === 0 ? {} : { settings }), unprotected: [] };
  }
  const { isolated } = own;
  const unprotected = settingNames(own)
    .filter((name) => name !== 'isolated' && protects(name))
    .map((name) => settingWords(name, own));
  return { ...(isolated === true ? { settings: { isolated } } : {}), unprotected };
}

/** Checks that the port here gets the source port's settings. Empty if there are none. */
export function judgePortSettings(
  { id, attachment }: NicNetwork,
  landing: Landing,
): Finding | undefined {
  if (landing.kind === 'routed' || !('settings' in attachment)) return undefined;
  const { settings: own = {} } = attachment;
  const here = landing.settings ?? {};
  const left = leftBehind(own, here);
  const kept = settingNames(here).map((name) => settingWords(name, here));
  if (left.length + kept.length === 0) return undefined;
  const goes = `${id}: its port gets ${kept.join(', ') || 'no setting of the port at the source'}`;
  if (left.length === 0) return passes(goes);
  const hint =
    'Nothing to do if the guest can be without; else set it in a hook prepare-destination, which gets the name of the port.';
  return warns(`${goes}; ${left.join(', ')} stays behind`, hint);
}

function leftBehind(own: PortSettings, here: PortSettings): string[] {
  return settingNames(own).flatMap((name) => {
    if (name !== 'staticMacs') return here[name] === undefined ? [settingWords(name, own)] : [];
    const kept = here.staticMacs ?? [];
    const lost = (own.staticMacs ?? []).filter((each) => !kept.includes(each));
    return lost.length === 0 ? [] : [settingWords(name, { staticMacs: lost })];
  });
}
