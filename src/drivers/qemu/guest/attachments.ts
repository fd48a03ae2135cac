import { readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { ovsDatabase } from '../../../network/openvswitch.ts';
import type { SourceNic } from '../../../network/attachment.ts';
import type { GuestFacts } from '../spec/facts.ts';
import type { BackendLine } from '../spec/monitor-text.ts';

/** Kernel device of all Open vSwitch ports; only Open vSwitch reports a port's bridge. */
const OVS_MASTER = 'ovs-system';

export async function readAttachments(
  network: readonly BackendLine[],
): Promise<Required<Pick<GuestFacts, 'bridges' | 'otherwise'>>> {
  const bridges: Record<string, string> = {};
  const otherwise: string[] = [];
  const [v4, v6] = await Promise.all(
    ['route', 'ipv6_route'].map((file) =>
      readFile(`/proc/self/net/${file}`, 'utf8').catch(() => ''),
    ),
  );
  const routed = routedPorts(v4 ?? '', v6 ?? '');
  // A port of the userspace datapath has no master: the mover asks Open vSwitch.
  const mayBeOvs = (await ovsDatabase()) !== undefined;
  for (const { ifname } of network) {
    if (ifname === undefined || !/^[^/\s]{1,15}$/.test(ifname)) continue;
    const link = await readlink(`/sys/class/net/${ifname}/master`).catch(() => undefined);
    const master = link === undefined ? undefined : path.basename(link);
    if (master !== undefined && master !== OVS_MASTER) bridges[ifname] = master;
    else if (master === OVS_MASTER || mayBeOvs || routed.has(ifname)) otherwise.push(ifname);
  }
  return { bridges, otherwise };
}

/** Adds the names of taps that were passed as open files; the kernel reports them per file. */
export async function withTapNames(
  lines: readonly BackendLine[],
  pid: number,
): Promise<BackendLine[]> {
  return Promise.all(
    lines.map(async (line) => {
      if (line.fd === undefined || line.ifname !== undefined) return line;
      const text = await readFile(`/proc/${pid}/fdinfo/${line.fd}`, 'utf8').catch(() => '');
      const ifname = /^iff:\s*(\S+)/m.exec(text)?.[1];
      return ifname === undefined ? line : { ...line, ifname };
    }),
  );
}

/** Ports of host routes in /proc/net/route and /proc/net/ipv6_route. Pure. */
export function routedPorts(v4: string, v6: string): ReadonlySet<string> {
  const ports = new Set<string>();
  for (const line of v4.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields[7]?.toUpperCase() === 'FFFFFFFF') ports.add(fields[0] ?? '');
  }
  for (const line of v6.split('\n')) {
    const fields = line.trim().split(/\s+/);
    // RTF_LOCAL and RTF_NONEXTHOP mark an address of this host, not a route.
    const local = (Number.parseInt(fields[8] ?? '0', 16) & 0x8020_0000) !== 0;
    const own = /^f[ef]/i.test(fields[0] ?? '');
    if (fields[1] === '80' && !local && !own) ports.add(fields[9] ?? '');
  }
  return ports;
}

export function nicsWithPorts({ devices, network }: GuestFacts): SourceNic[] {
  return devices.flatMap(({ netdev, mac }) => {
    const port = network.find(({ id, type }) => id === netdev && type === 'tap')?.ifname;
    if (netdev === undefined || mac === undefined || port === undefined) return [];
    return [{ id: netdev, mac: mac.toLowerCase(), port }];
  });
}

export function tapsOf(network: readonly BackendLine[]): string[] {
  const taps = network.flatMap(({ type, ifname }) =>
    type === 'tap' && ifname !== undefined ? [ifname] : [],
  );
  return [...new Set(taps)];
}
