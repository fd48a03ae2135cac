import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { WayOut } from '../migration/preflight/link.ts';
import { ip } from './ip.ts';

/** VLANs, bonds and bridges lie on each other; no real host has more. */
const MOST_LAYERS = 8;
const DEVICES = '/sys/class/net';

const name = z.string().max(64);
const device = z.object({
  ifname: name,
  ifindex: z.number().int(),
  address: name.optional(),
  master: name.optional(),
  /** The lower device of a VLAN, a macvlan or a macvtap. */
  link: name.optional(),
  linkinfo: z
    .object({
      info_kind: name.optional(),
      info_data: z.object({ type: z.unknown() }).partial().optional(),
    })
    .optional(),
});
export type Device = z.infer<typeof device>;
const routes = z.array(z.object({ dev: name.optional() }));

/** Runs `ip`; a test gives its own. */
type Ip = typeof ip;

/** The way to an IP address, by the kernel's own tables; undefined where they do not say it. Never rejects but by the signal. */
export async function wayOutTo(
  address: string,
  signal: AbortSignal,
  run: Ip = ip,
  directory = DEVICES,
): Promise<WayOut | undefined> {
  const ask = async <T>(shape: z.ZodType<T[]>, words: readonly string[]): Promise<T[]> => {
    const { status, output } = await run(['-j', ...words], signal);
    return status !== 0 || output.trim() === '' ? [] : shape.parse(JSON.parse(output));
  };
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
      ...(rate === undefined ? {} : { bytesPerS: rate }),
      hasGuests: hasGuests(devices, own.ifname),
      isDefault: usual?.dev === own.ifname,
    };
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/** Whether a port of a guest leads over the device, or over what lies below it. */
export function hasGuests(devices: readonly Device[], over: string): boolean {
  const own = below(devices, over);
  return devices.some((each) => {
    if (!isGuests(each)) return false;
    const lower = kindOf(each) === 'macvtap' ? each.link : each.master;
    return lower !== undefined && below(devices, lower).some((lowest) => own.includes(lowest));
  });
}

/** The device, and each one that what it sends may go out by. */
function below(devices: readonly Device[], ifname: string, layers = MOST_LAYERS): string[] {
  const own = devices.find((each) => each.ifname === ifname);
  if (own === undefined || layers === 0) return [ifname];
  // All ports of all Open vSwitch bridges are of one master.
  const master = kindOf(own) === 'openvswitch' ? 'ovs-system' : ifname;
  const ports = devices.filter(
    (each) => each.master === master && !isGuests(each) && kindOf(each) !== 'openvswitch',
  );
  const isUpper = ['vlan', 'macvlan', 'ipvlan'].includes(kindOf(own));
  const lower = isUpper && own.link !== undefined ? [own.link] : [];
  const next = [...ports.map((each) => each.ifname), ...lower];
  return [ifname, ...next.flatMap((each) => below(devices, each, layers - 1))];
}

const kindOf = ({ linkinfo }: Device): string => linkinfo?.info_kind ?? '';

/** A tap; a tunnel of layer 3 is of the same kind. */
const isGuests = (each: Device): boolean =>
  kindOf(each) === 'macvtap' ||
  (kindOf(each) === 'tun' && each.linkinfo?.info_data?.type !== 'tun');

/** What the device says of itself, bytes/s. Where `/sys` is another namespace's, its device is another one. */
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
