import { readlink } from 'node:fs/promises';
import { z } from 'zod';
import { systemClock } from '../../../clock.ts';
import { defined } from '../../../protocol/defined.ts';
import { rulesOf, SCRIPT } from './network-rules.ts';
import type { Runc } from '../runtimes/runc.ts';
import { nic as nicSchema, type Nic } from '../spec.ts';
import type { Obstacle } from '../obstacle.ts';

const links = z.array(
  z.looseObject({
    ifindex: z.number().int(),
    ifname: z.string(),
    link_index: z.number().int().optional(),
    address: z.string().optional(),
    mtu: z.number().int().optional(),
    master: z.string().optional(),
    link_type: z.string().optional(),
    linkinfo: z.looseObject({ info_kind: z.string().optional() }).optional(),
    addr_info: z
      .array(
        z.looseObject({ local: z.string().optional(), prefixlen: z.number(), scope: z.string() }),
      )
      .optional(),
  }),
);
const routes = z.array(
  z.looseObject({
    dst: z.string(),
    dev: z.string().optional(),
    gateway: z.string().optional(),
    protocol: z.string().optional(),
  }),
);

export interface FoundNic {
  readonly nic: Nic;
  readonly port: string;
}

export interface FoundNetwork {
  readonly nics: readonly FoundNic[];
  readonly obstacles: readonly Obstacle[];
  readonly unseen: readonly string[];
}

const NEXT = '--';
/** One program enters the namespace for all queries. */
const LOOK = [
  ...['addr', 'route', '-6 route'].map((what) => `ip -j -d ${what} || exit 1; echo '${NEXT}'`),
  SCRIPT,
].join('\n');

/** Contents of the process's network namespace; `path`: its path in config.json. */
export async function networkOf(
  run: Runc['run'],
  pid: number,
  signal: AbortSignal,
  path?: string,
): Promise<FoundNetwork> {
  // The network is the host's: its links and rules must not be removed for a container.
  if (await isOfHost(pid))
    return { nics: [], obstacles: path === undefined ? [] : [OF_HOST], unseen: [] };
  const enter = ['nsenter', '-t', String(pid), '-n'];
  const [within, host] = await Promise.all([
    run([...enter, 'sh', '-c', LOOK], { signal }),
    run(['ip', '-j', '-d', 'link'], { signal }),
  ]);
  const [own = '', roads = '', roads6 = '', more = ''] = within.split(`${NEXT}\n`);
  const here = links.parse(JSON.parse(host));
  const all = [roads, roads6].flatMap((text) => routes.parse(JSON.parse(text.trim() || '[]')));
  const nics: FoundNic[] = [];
  const obstacles: Obstacle[] = [];
  for (const link of links.parse(JSON.parse(own))) {
    if (link.link_type === 'loopback') {
      obstacles.push(...ownAddresses(link.addr_info));
      continue;
    }
    const type = link.linkinfo?.info_kind ?? link.link_type ?? 'link';
    const port = here.find(
      ({ ifindex, linkinfo }) => ifindex === link.link_index && linkinfo?.info_kind === 'veth',
    );
    const parsed = nicSchema.safeParse({
      name: link.ifname,
      mac: link.address,
      mtu: link.mtu,
      bridge: port?.master ?? '',
      addresses: (link.addr_info ?? [])
        .filter(({ scope }) => scope === 'global')
        .map(({ local = '', prefixlen }) => `${local}/${prefixlen}`),
      routes: all
        .filter(({ dev, protocol }) => dev === link.ifname && protocol !== 'kernel')
        .map(({ dst, gateway }) => ({
          to:
            dst === 'default' || dst.includes('/') ? dst : `${dst}/${dst.includes(':') ? 128 : 32}`,
          ...defined({ via: gateway }),
        })),
    });
    if (type === 'veth' && port !== undefined && parsed.success) {
      nics.push({ nic: parsed.data, port: port.ifname });
      continue;
    }
    const reason =
      type === 'veth' ? 'its other end is on no bridge of this host' : `it is a ${type}`;
    const hint = 'Give the container a veth whose other end is on a bridge.';
    obstacles.push({ device: link.ifname, type: 'network link', reason, hint });
  }
  const { obstacles: rules, unseen } = rulesOf(more);
  return { nics, obstacles: [...obstacles, ...rules], unseen };
}

/** Without a path, config.json already says that it is the host's. */
const OF_HOST: Obstacle = {
  device: 'the network namespace',
  type: 'namespace',
  reason: 'it is the host’s own',
  hint: 'Start the container with a network namespace of its own.',
};

async function isOfHost(pid: number): Promise<boolean> {
  const of = (process: number | string): Promise<string> => readlink(`/proc/${process}/ns/net`);
  const [own, host] = await Promise.all([of(pid).catch(() => undefined), of('self')]);
  return own === host;
}

/** The other host's namespace has a standard loopback. */
function ownAddresses(
  addresses: readonly { scope: string; local?: string | undefined }[] = [],
): Obstacle[] {
  return addresses.flatMap(({ scope, local = '' }) => {
    if (scope !== 'global') return [];
    const reason = 'an address of its loopback is not made anew at the destination';
    const hint = 'Give the address to its link on the bridge.';
    return [{ device: `address ${local} of lo`, type: 'address', reason, hint }];
  });
}

export interface MadeNetwork {
  readonly netns: string;
  readonly nics: { port: string; name: string }[];
}

export function networkNames(token: string, nics: readonly Nic[]): MadeNetwork {
  const own = token.slice(0, 10);
  return {
    netns: `godwit-${own}`,
    nics: nics.map(({ name }, index) => ({ port: `gc${own}${index}`, name })),
  };
}

/** Creates the namespace with its links, whose host ports stay down. Replaces the result of an earlier call. */
export async function makeNetwork(
  run: Runc['run'],
  { netns, nics: names }: MadeNetwork,
  nics: readonly Nic[],
  bridgeFor: (bridge: string) => string,
  signal: AbortSignal,
): Promise<void> {
  await removeNetwork(run, { netns, nics: names });
  await run(['ip', 'netns', 'add', netns], { signal });
  const ip = (...words: string[]) => run(['ip', '-n', netns, ...words], { signal });
  await ip('link', 'set', 'lo', 'up');
  for (const [index, { name, mac, mtu, bridge, addresses, routes: roads }] of nics.entries()) {
    const port = names[index]?.port ?? '';
    const pair = ['type', 'veth', 'peer', 'name', name, 'netns', netns];
    await run(['ip', 'link', 'add', port, 'mtu', String(mtu), ...pair], { signal });
    await run(['ip', 'link', 'set', port, 'master', bridgeFor(bridge)], { signal });
    await ip('link', 'set', name, 'address', mac, 'mtu', String(mtu));
    for (const address of addresses) {
      await ip('addr', 'add', address, 'dev', name, ...(address.includes(':') ? ['nodad'] : []));
    }
    await ip('link', 'set', name, 'up');
    for (const { to, via } of roads) {
      // A gateway may be in a network in which the link has no address.
      const over = via === undefined ? [] : ['via', via, 'onlink'];
      const family = `${to}${via ?? ''}`.includes(':') ? ['-6'] : [];
      await ip(...family, 'route', 'replace', to, ...over, 'dev', name);
    }
    const notify = `net.ipv4.conf.${name.replaceAll('.', '/')}.arp_notify=1`;
    await run(['ip', 'netns', 'exec', netns, 'sysctl', '-qw', notify], { signal });
  }
}

export async function setPorts(
  run: Runc['run'],
  ports: readonly string[],
  state: 'up' | 'down',
): Promise<void> {
  for (const port of ports) await run(['ip', 'link', 'set', port, state]);
}

/** Pauses before each announcement, ms, at QEMU's pace. */
const ANNOUNCE_MS = [0, 50, 150, 250, 350];

/**
 * Setting a link's address again makes the kernel announce it. Once is not enough: on a busy host, one of 29
 * announcements left no trace on the bridges. Peers of a container that only listens then kept using their old
 * entry.
 */
export async function announceNics(
  run: Runc['run'],
  pid: number,
  nics: readonly Nic[],
  signal: AbortSignal,
): Promise<void> {
  for (const pauseMs of ANNOUNCE_MS) {
    await systemClock.sleep(pauseMs, signal);
    for (const { name, mac } of nics) {
      const set = ['ip', 'link', 'set', name, 'address', mac];
      await run(['nsenter', '-t', String(pid), '-n', ...set], { signal });
    }
  }
}

/** Can be repeated. */
export async function removeNetwork(run: Runc['run'], { netns, nics }: MadeNetwork): Promise<void> {
  const [listed, known] = await Promise.all([
    run(['ip', '-j', 'link']),
    run(['ip', 'netns', 'list']),
  ]);
  const there = new Set(links.parse(JSON.parse(listed)).map(({ ifname }) => ifname));
  for (const { port } of nics) {
    if (there.has(port)) await run(['ip', 'link', 'delete', port]).catch(() => undefined);
  }
  const isThere = known.split('\n').some((line) => line.split(' ')[0] === netns);
  if (isThere) await run(['ip', 'netns', 'delete', netns]);
}
