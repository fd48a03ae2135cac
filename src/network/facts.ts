import { z } from 'zod';
import { godwitError } from '../errors.ts';
import { BINDING_IDS, type BindingIds } from '../protocol/network.ts';

/** Parses iproute2's and Open vSwitch's JSON about a host's network. Pure. */

const name = z.string().min(1).max(64);
const number = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

const link = z
  .object({
    ifname: name,
    mtu: number,
    address: z.string().max(64).optional(),
    flags: z.array(z.string().max(32)).max(32).optional(),
    /** Packet filter rules may refer to it. */
    group: z.string().max(32).optional(),
    txqlen: number.optional(),
    xdp: z.unknown().optional(),
    master: name.optional(),
    /** Lower device of a macvtap. */
    link: name.optional(),
    linkinfo: z
      .object({
        info_kind: z.string().max(32).optional(),
        info_data: z.record(z.string().max(64), z.unknown()).optional(),
        info_slave_data: z.record(z.string().max(64), z.unknown()).optional(),
      })
      .optional(),
  })
  .transform(({ linkinfo, ...own }) => ({
    ...own,
    kind: linkinfo?.info_kind,
    data: linkinfo?.info_data ?? {},
    /** Port settings kept by its master. */
    ...(linkinfo?.info_slave_data === undefined ? {} : { portData: linkinfo.info_slave_data }),
  }));
export type Link = z.infer<typeof link>;

const addressEntry = z.object({
  ifname: name,
  addr_info: z.array(z.object({ local: z.string().max(64), prefixlen: number })).max(4096),
});
export type AddressEntry = z.infer<typeof addressEntry>;

const route = z.object({
  dst: z.string().max(64),
  dev: name.optional(),
  gateway: z.string().max(64).optional(),
  /** Creator in iproute2's terms; absent for manual routes. */
  protocol: z.string().max(32).optional(),
  metric: number.optional(),
});
export type Route = z.infer<typeof route>;

const neighbour = z.object({
  dst: z.string().max(64),
  dev: name.optional(),
  lladdr: z.string().max(64).optional(),
});
export type Neighbour = z.infer<typeof neighbour>;

const forwarding = z.object({
  mac: z.string().max(64),
  ifname: name,
  dst: z.string().max(64).optional(),
  state: z.string().max(32).optional(),
  flags: z.array(z.string().max(32)).max(16).optional(),
  /** Bridge of the entry; absent for an entry of the device itself. */
  master: name.optional(),
  vlan: number.optional(),
});
export type Forwarding = z.infer<typeof forwarding>;

const vlanEntry = z.object({
  ifname: name,
  vlans: z
    .array(
      z.object({
        vlan: number,
        vlanEnd: number.optional(),
        flags: z.array(z.string().max(32)).max(16).optional(),
      }),
    )
    .max(4096),
});
export type VlanEntry = z.infer<typeof vlanEntry>;

export interface OvsPort {
  readonly name: string;
  readonly bridge: string;
  readonly tag: number | undefined;
  readonly trunks: readonly number[];
  /** Absent: implied by the tag and trunks. */
  readonly vlanMode?: string;
  /** Exchanges no frames with other protected ports; `isolated` on a Linux bridge. */
  readonly isProtected?: boolean;
  readonly ids?: BindingIds;
}

export interface NetworkFacts {
  readonly links: readonly Link[];
  readonly addresses: readonly AddressEntry[];
  readonly routes: readonly Route[];
  readonly neighbours: readonly Neighbour[];
  readonly forwarding: readonly Forwarding[];
  readonly vlans: readonly VlanEntry[];
  readonly ovsPorts: readonly OvsPort[];
  /** Ports that answer ARP for addresses behind the host. */
  readonly proxyArp: ReadonlySet<string>;
  readonly proxyNdp: ReadonlySet<string>;
}

/** Limit; hosts with many guests have thousands of entries. */
const MAX = 100_000;

/** Skips entries that are not understood, so that one odd link does not hide the others. */
function readList<T>(what: string, text: string, entry: z.ZodType<T>): T[] {
  let json: unknown;
  try {
    // iproute2 prints nothing for an empty list.
    json = JSON.parse(text.trim() === '' ? '[]' : text);
  } catch (cause) {
    throw unreadable(what, cause);
  }
  const list = z.array(z.unknown()).max(MAX).safeParse(json);
  if (!list.success) throw unreadable(what, list.error);
  return list.data.flatMap((each) => {
    const parsed = entry.safeParse(each);
    return parsed.success ? [parsed.data] : [];
  });
}

function unreadable(what: string, cause: unknown): Error {
  return godwitError('GODWIT_HOST_LACKS', { what: `JSON from \`${what}\`` }, { cause });
}

export const parseLinks = (text: string): Link[] => readList('ip -j -d link', text, link);
export const parseAddresses = (text: string): AddressEntry[] =>
  readList('ip -j addr', text, addressEntry);
export const parseRoutes = (text: string): Route[] => readList('ip -j route', text, route);
export const parseNeighbours = (text: string): Neighbour[] =>
  readList('ip -j neigh', text, neighbour);
export const parseForwarding = (text: string): Forwarding[] =>
  readList('bridge -j fdb', text, forwarding);
export const parseVlans = (text: string): VlanEntry[] =>
  readList('bridge -j vlan', text, vlanEntry);

/** `ovs-vsctl --format=json`: a table with typed atoms. */
const ovsTable = z.object({
  headings: z.array(z.string().max(64)).max(64),
  data: z.array(z.array(z.unknown()).max(64)).max(MAX),
});
const ovsSet = z.tuple([z.literal('set'), z.array(z.unknown()).max(8192)]);
const ovsMap = z.tuple([z.literal('map'), z.array(z.tuple([z.string(), z.string()])).max(8192)]);
const ovsUuid = z.tuple([z.literal('uuid'), z.string().max(64)]);

function ovsRows(text: string): Record<string, unknown>[] {
  try {
    const { headings, data } = ovsTable.parse(JSON.parse(text));
    return data.map((cells) =>
      Object.fromEntries(headings.map((heading, index) => [heading, cells[index]])),
    );
  } catch (cause) {
    throw unreadable('ovs-vsctl --format=json', cause);
  }
}

/** One value is written bare, none or several as `["set", [...]]`. */
function ovsList(cell: unknown): unknown[] {
  const set = ovsSet.safeParse(cell);
  if (set.success) return set.data[1];
  return cell === undefined ? [] : [cell];
}

function ovsEntries(cell: unknown): Record<string, string> {
  const map = ovsMap.safeParse(cell);
  return map.success ? Object.fromEntries(map.data[1]) : {};
}

/** `external_ids` of each row, from `ovs-vsctl --format=json` with that column. */
export const parseOvsIds = (text: string): Record<string, string>[] =>
  ovsRows(text).map((row) => ovsEntries(row['external_ids']));

function bindingOf(ids: Readonly<Record<string, string>>): BindingIds {
  return Object.fromEntries(
    BINDING_IDS.flatMap((key) => (ids[key] === undefined ? [] : [[key, ids[key]]])),
  );
}

/**
 * Inputs: `list Port`, `list Bridge` and `list Interface`, with columns _uuid, name, tag, trunks, vlan_mode,
 * protected; name, ports; and name, external_ids. An interface has its port's name, except in a bond.
 */
export function parseOvsPorts(ports: string, bridges: string, interfaces?: string): OvsPort[] {
  const idsOf = new Map(
    (interfaces === undefined ? [] : ovsRows(interfaces)).map((row) => [
      row['name'],
      bindingOf(ovsEntries(row['external_ids'])),
    ]),
  );
  const bridgeOf = new Map<string, string>();
  for (const { name: bridge, ports: members } of ovsRows(bridges)) {
    for (const member of ovsList(members)) {
      const uuid = ovsUuid.safeParse(member);
      if (uuid.success && typeof bridge === 'string') bridgeOf.set(uuid.data[1], bridge);
    }
  }
  const tags = (cell: unknown): number[] =>
    ovsList(cell).filter((each) => typeof each === 'number' && Number.isInteger(each)) as number[];
  return ovsRows(ports).flatMap((row) => {
    const uuid = ovsUuid.safeParse(row['_uuid']);
    const bridge = uuid.success ? bridgeOf.get(uuid.data[1]) : undefined;
    if (bridge === undefined || typeof row['name'] !== 'string') return [];
    const mode = row['vlan_mode'];
    const ids = idsOf.get(row['name']) ?? {};
    return [
      {
        name: row['name'],
        bridge,
        tag: tags(row['tag'])[0],
        trunks: tags(row['trunks']),
        ...(typeof mode === 'string' ? { vlanMode: mode } : {}),
        ...(row['protected'] === true ? { isProtected: true } : {}),
        ...(ids['iface-id'] === undefined ? {} : { ids }),
      },
    ];
  });
}
