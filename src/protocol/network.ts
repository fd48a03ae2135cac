import { z } from 'zod';
import { portSettings } from './port-settings.ts';

/**
 * How the NICs of a guest are attached to their host, as two hosts describe them to each other. A peer names links of its own
 * host; what they are mapped to here is this host's business.
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
// Loose: the kernel's own reading of it decides.
const v6 = '[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}';
export const ipAddress = z.string().regex(new RegExp(`^(${v4}|${v6})$`), 'is not an IP address');
const cidr = z
  .string()
  .regex(
    new RegExp(`^(${v4}/([12]?[0-9]|3[0-2])|${v6}/([1-9]?[0-9]|1[01][0-9]|12[0-8]))$`),
    'is not an address with its length',
  );
/** A peer takes no whole network to a port here. */
export const hostRoute = z
  .string()
  .regex(new RegExp(`^(${v4}/32|${v6}/128)$`), 'is not a route to one address');
const mtu = z.number().int().min(68).max(65_535);
const tag = z.number().int().min(1).max(4094);
const tags = z.array(tag).max(4094);

/** The VLANs of a port: one, untagged to the guest; or many that reach the guest with their tags. */
const portVlan = z.discriminatedUnion('mode', [
  z.object({ mode: z.literal('access'), tag }),
  z.object({ mode: z.literal('trunk'), native: tag.optional(), tags }),
]);
export type PortVlan = z.infer<typeof portVlan>;

/** By what a network controller (OVN, Neutron) knows a port of Open vSwitch: some of its interface's `external_ids`. */
export const BINDING_IDS = ['iface-id', 'attached-mac', 'vm-id', 'vm-uuid'] as const;
const bindingIds = z.partialRecord(
  z.enum(BINDING_IDS),
  z.string().regex(/^[A-Za-z0-9_.:-]{1,128}$/, 'is not an id of a port'),
);
export type BindingIds = z.infer<typeof bindingIds>;

/** The tunnel that joins a bridge with those of other hosts. */
export const vxlan = z.object({
  device: linkName,
  vni: z.number().int().min(0).max(16_777_215),
  local: ipAddress.optional(),
  /** Addresses are learned from frames; where not, they are static or somebody else's to set. */
  learning: z.boolean(),
  /** Where frames go whose receiver is not known. */
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
    /** The port's own: the guest knows its gateway by it, so it stays the same on every host. */
    mac,
    /** Host routes to the guest. */
    routes: z.array(hostRoute).max(64),
    /** Addresses of the host on the port: the guest's gateways. */
    gateways: z.array(cidr).max(64),
    proxyArp: z.boolean(),
    proxyNdp: z.boolean(),
  }),
]);
export type Attachment = z.infer<typeof attachment>;

/** Host routes to one guest, as its source says them when it asks for its admission. */
export const guestRoutes = z.array(hostRoute).max(256);

/** The host routes that a guest with these NICs is to have at its destination. */
export function routesOf(networks: readonly Pick<NicNetwork, 'attachment'>[]): string[] {
  const all = networks.flatMap(({ attachment: own }) => (own.kind === 'routed' ? own.routes : []));
  return [...new Set(all)];
}

export const MAX_PORT_RULES = 16;
const portTexts = z.array(z.string().max(256)).max(MAX_PORT_RULES);

/** A NIC of the guest as its host has it. */
export const nicNetwork = z.object({
  /** The driver's id of the NIC's backend. */
  id: z.string().min(1).max(128),
  mac,
  /** Port of the source's host. */
  port: linkName,
  /** Addresses of the guest that its host has seen. */
  addresses: z.array(ipAddress).max(64),
  attachment,
  /** Rules of the source's packet filter that name the port. */
  rules: portTexts.optional(),
  /** Limits of the port's rate at the source (`tc`). */
  limits: portTexts.optional(),
});
export type NicNetwork = z.infer<typeof nicNetwork>;

/** Of a guest that moves. */
export const MAX_NICS = 64;
export const nicNetworks = z.array(nicNetwork).max(MAX_NICS);

/** `--map-network SRC=DST`: link of the source -> link of the destination. */
export const networkMap = z
  .record(linkName, linkName)
  .refine((map) => Object.keys(map).length <= 64, 'names more than 64 networks');

/** The link that a NIC is known by to a person: its bridge, or what it is a part of. */
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
