import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { RouteOut } from '../migration/preflight/link.ts';
import { defined } from '../protocol/defined.ts';
import { ip, listedBy, type Ip } from './ip.ts';

const DEVICES = '/sys/class/net';

const name = z.string().max(64);
const device = z.object({
  ifname: name,
  ifindex: z.number().int(),
  address: name.optional(),
  master: name.optional(),
  /** Lower device of a VLAN, a macvlan or a macvtap; other end of a local veth. */
  link: name.optional(),
  linkinfo: z
    .object({
      info_kind: name.optional(),
      /** `link`: device that a VXLAN sends by. */
      info_data: z.object({ type: z.unknown(), link: name }).partial().optional(),
    })
    .optional(),
});
export type Device = z.infer<typeof device>;
const routes = z.array(z.object({ dev: name.optional() }));

/** Route to an IP address from the kernel's tables; undefined if unknown. Only rejects with the signal. */
export async function routeOutTo(
  address: string,
  signal: AbortSignal,
  run: Ip = ip,
  directory = DEVICES,
): Promise<RouteOut | undefined> {
  const ask = <T>(shape: z.ZodType<T[]>, words: readonly string[]): Promise<T[]> =>
    listedBy(run, shape, words, signal);
  const family = address.includes(':') ? '-6' : '-4';
  try {
    const [[route], [usual], devices] = await Promise.all([
      ask(routes, ['route', 'get', address]),
      ask(routes, [family, 'route', 'show', 'default']),
      ask(z.array(device), ['-d', 'link', 'show']),
    ]);
    const own = devices.find(({ ifname }) => ifname === route?.dev);
    if (own === undefined || own.ifname === 'lo') return undefined;
    const rate = await statedRate(own, directory);
    return {
      device: own.ifname,
      ...defined({ bytesPerS: rate }),
      hasGuests: hasGuests(devices, own.ifname),
      isDefault: usual?.dev === own.ifname,
    };
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/** True if a guest's port uses the device or one below it; undefined if routed guests may use it. */
export function hasGuests(devices: readonly Device[], over: string): boolean | undefined {
  const below = lowerOf(devices);
  const own = below(over);
  // Many guests share one bridge.
  const uppers = new Set(
    devices.filter(isGuests).map((each) => (kindOf(each) === 'macvtap' ? each.link : each.master)),
  );
  const lowers = [...uppers].map((upper) => (upper === undefined ? undefined : below(upper)));
  if (lowers.some((each) => each !== undefined && !own.isDisjointFrom(each))) return true;
  const isBridge = (name: string): boolean =>
    devices.some(
      (each) => each.ifname === name && ['bridge', 'openvswitch'].includes(kindOf(each)),
    );
  // Guests without a bridge, or with a bridge of their ports only, may be routed.
  const mayBeRouted = lowers.some((each) => each === undefined || [...each].every(isBridge));
  return mayBeRouted ? undefined : false;
}

/** The device and all devices below it that may send its frames. */
function lowerOf(devices: readonly Device[]): (ifname: string) => ReadonlySet<string> {
  const named = new Map(devices.map((each) => [each.ifname, each]));
  const ports = devices.filter((each) => !isGuests(each) && kindOf(each) !== 'openvswitch');
  const portsOf = Map.groupBy(ports, ({ master }) => master);
  return (ifname) => {
    const found = new Set([ifname]);
    // The loop includes entries added meanwhile.
    for (const each of found) {
      const device = named.get(each);
      if (device === undefined) continue;
      // All Open vSwitch ports have one master.
      const master = kindOf(device) === 'openvswitch' ? 'ovs-system' : each;
      for (const { ifname: port } of portsOf.get(master) ?? []) found.add(port);
      for (const next of nextOf(device)) if (next !== undefined) found.add(next);
    }
    return found;
  };
}

/** Next devices of a frame that are not ports. */
function nextOf(device: Device): readonly (string | undefined)[] {
  const { link, linkinfo, master } = device;
  switch (kindOf(device)) {
    case 'vlan':
    case 'macvlan':
    case 'ipvlan':
      return [link];
    case 'vxlan':
      return [linkinfo?.info_data?.link];
    // A frame leaves the other end in that end's bridge.
    case 'veth':
      return [link, master];
    default:
      return [];
  }
}

const kindOf = ({ linkinfo }: Device): string => linkinfo?.info_kind ?? '';

/** A tap; layer 3 tunnels have the same kind. */
const isGuests = (each: Device): boolean =>
  kindOf(each) === 'macvtap' ||
  (kindOf(each) === 'tun' && each.linkinfo?.info_data?.type !== 'tun');

/** Rate that the device reports, bytes/s. Checks the index, because `/sys` may be another namespace's. */
async function statedRate(
  { ifname, ifindex, address = '' }: Device,
  directory: string,
): Promise<number | undefined> {
  const read = async (file: string): Promise<string> =>
    (await readFile(path.join(directory, ifname, file), 'utf8').catch(() => '')).trim();
  const [index, mac, speed] = await Promise.all(['ifindex', 'address', 'speed'].map(read));
  const mbit = Number(speed);
  const isOwn = index === String(ifindex) && mac === address;
  return isOwn && Number.isSafeInteger(mbit) && mbit > 0 ? mbit * 125_000 : undefined;
}
