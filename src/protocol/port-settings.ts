import { z } from 'zod';

/**
 * Changed settings of a bridge port; an absent one has its default. `isolated` also exists in Open vSwitch as
 * `protected`.
 */

const mac = z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, 'is not a MAC address');

const staticMac = z.object({
  mac,
  vlan: z.number().int().min(1).max(4094).optional(),
  sticky: z.boolean().optional(),
});
export type StaticMac = z.infer<typeof staticMac>;
export const MAX_STATIC_MACS = 64;

export const portSettings = z.object({
  isolated: z.boolean().optional(),
  locked: z.boolean().optional(),
  mab: z.boolean().optional(),
  guard: z.boolean().optional(),
  root_block: z.boolean().optional(),
  learning: z.boolean().optional(),
  flood: z.boolean().optional(),
  mcast_flood: z.boolean().optional(),
  bcast_flood: z.boolean().optional(),
  mcast_to_unicast: z.boolean().optional(),
  fastleave: z.boolean().optional(),
  hairpin: z.boolean().optional(),
  neigh_suppress: z.boolean().optional(),
  neigh_vlan_suppress: z.boolean().optional(),
  vlan_tunnel: z.boolean().optional(),
  proxy_arp: z.boolean().optional(),
  proxy_arp_wifi: z.boolean().optional(),
  mcast_router: z.number().int().min(0).max(2).optional(),
  priority: z.number().int().min(0).max(63).optional(),
  cost: z.number().int().min(1).max(65_535).optional(),
  group_fwd_mask: z.number().int().min(0).max(65_535).optional(),
  staticMacs: z.array(staticMac).max(MAX_STATIC_MACS).optional(),
});
export type PortSettings = z.infer<typeof portSettings>;
export type PortSetting = keyof PortSettings;

/**
 * Settings that isolate guests or their frames. A guest must not lose one by moving. The compiler keeps the list
 * complete.
 */
const PROTECTS: Readonly<Record<PortSetting, boolean>> = {
  isolated: true,
  locked: true,
  mab: true,
  guard: true,
  root_block: true,
  learning: true,
  flood: true,
  mcast_flood: true,
  bcast_flood: true,
  mcast_to_unicast: false,
  fastleave: false,
  hairpin: false,
  neigh_suppress: false,
  neigh_vlan_suppress: false,
  vlan_tunnel: true,
  proxy_arp: false,
  proxy_arp_wifi: false,
  mcast_router: false,
  priority: false,
  cost: false,
  group_fwd_mask: false,
  staticMacs: false,
};

export const PORT_SETTINGS = Object.keys(PROTECTS) as PortSetting[];

export function settingNames(settings: PortSettings = {}): PortSetting[] {
  return PORT_SETTINGS.filter((name) => settings[name] !== undefined);
}

export function protects(name: PortSetting): boolean {
  return PROTECTS[name];
}

export function settingWords(name: PortSetting, settings: PortSettings): string {
  const value = settings[name];
  if (Array.isArray(value)) return `static entries for ${value.map((each) => each.mac).join(', ')}`;
  return `${name} ${typeof value === 'boolean' ? (value ? 'on' : 'off') : value}`;
}
