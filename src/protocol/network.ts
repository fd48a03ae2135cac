import { z } from 'zod';
import { portSettings } from './port-settings.ts';

/**
 * Attachment of a guest's NICs, as hosts describe it to each other. A peer names links of its own host; this host
 * decides their local counterparts.
 */

const linkName = z
  .string()
  .regex(
    /^[^/\s-][^/\s]{0,14}$/,
    'is not the name of a network link, which has at most 15 characters',
  );
const mac = z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, 'is not a MAC address');
const byte = '(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
const v4 = `(${byte}\\.){3}${byte}`;
const v6 = '[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}';
export const ipAddress = z.string().regex(new RegExp(`^(${v4}|${v6})$`), 'is not an IP address');
const cidr = z
  .string()
  .regex(
    new RegExp(`^(${v4}/([12]?[0-9]|3[0-2])|${v6}/([1-9]?[0-9]|1[01][0-9]|12[0-8]))$`),
    'is not an address with its length',
  );
/** Host routes only: a peer must not route a network to a port here. */
export const hostRoute = z
  .string()
  .regex(new RegExp(`^(${v4}/32|${v6}/128)$`), 'is not a route to one address');
const mtu = z.number().int().min(68).max(65_535);
const tag = z.number().int().min(1).max(4094);
const tags = z.array(tag).max(4094);

/** VLANs of a port: one, untagged for the guest, or several with tags. */
const portVlan = z.discriminatedUnion('mode', [
  z.object({ mode: z.literal('access'), tag }),
  z.object({ mode: z.literal('trunk'), native: tag.optional(), tags }),
]);
export type PortVlan = z.infer<typeof portVlan>;

/** `external_ids` that a network controller (OVN, Neutron) gives an Open vSwitch port to identify it. */
export const BINDING_IDS = ['iface-id', 'attached-mac', 'vm-id', 'vm-uuid'] as const;
const bindingIds = z.partialRecord(
  z.enum(BINDING_IDS),
  z.string().regex(/^[A-Za-z0-9_.:-]{1,128}$/, 'is not an id of a port'),
);
export type BindingIds = z.infer<typeof bindingIds>;

export const vxlan = z.object({
  device: linkName,
  vni: z.number().int().min(0).max(16_777_215),
  local: ipAddress.optional(),
  /** Learns addresses from frames; otherwise they are static, or another program sets them. */
  learning: z.boolean(),
  /** Destinations of frames with unknown receivers. */
  flood: z.array(ipAddress).max(1024),
});

export const attachment = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('bridge'),
    bridge: linkName,
    mtu,
    vlan: portVlan.optional(),
    vxlan: vxlan.optional(),
    settings: portSettings.optional(),
  }),
  z.object({
    kind: z.literal('ovs'),
    bridge: linkName,
    mtu,
    vlan: portVlan.optional(),
    ids: bindingIds.optional(),
    settings: portSettings.optional(),
  }),
  z.object({
    kind: z.literal('macvtap'),
    parent: linkName,
    mode: z.string().max(32),
    mtu,
  }),
  z.object({
    kind: z.literal('routed'),
    mtu,
    /** The port's MAC: the guest's gateway, so the same on every host. */
    mac,
    routes: z.array(hostRoute).max(64),
    gateways: z.array(cidr).max(64),
    proxyArp: z.boolean(),
    proxyNdp: z.boolean(),
  }),
]);
export type Attachment = z.infer<typeof attachment>;

export const guestRoutes = z.array(hostRoute).max(256);

export function routesOf(networks: readonly Pick<NicNetwork, 'attachment'>[]): string[] {
  const all = networks.flatMap(({ attachment: own }) => (own.kind === 'routed' ? own.routes : []));
  return [...new Set(all)];
}

export const MAX_PORT_RULES = 16;
const portTexts = z.array(z.string().max(256)).max(MAX_PORT_RULES);

export const nicNetwork = z.object({
  id: z.string().min(1).max(128),
  mac,
  port: linkName,
  /** Guest addresses that its host has seen. */
  addresses: z.array(ipAddress).max(64),
  attachment,
  /** Packet filter rules at the source that name the port. */
  rules: portTexts.optional(),
  /** Rate limits of the port at the source (`tc`). */
  limits: portTexts.optional(),
});
export type NicNetwork = z.infer<typeof nicNetwork>;

export const MAX_NICS = 64;
export const nicNetworks = z.array(nicNetwork).max(MAX_NICS);

/** `--map-network SRC=DST`: link of the source -> link of the destination. */
export const networkMap = z
  .record(linkName, linkName)
  .refine((map) => Object.keys(map).length <= 64, 'names more than 64 networks');

export function networkName(of: Attachment): string | undefined {
  switch (of.kind) {
    case 'bridge':
    case 'ovs':
      return of.bridge;
    case 'macvtap':
      return of.parent;
    case 'routed':
      return undefined;
  }
}
