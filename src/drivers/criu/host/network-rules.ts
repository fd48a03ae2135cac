import { z } from 'zod';
import type { Obstacle } from '../obstacle.ts';

/**
 * Settings of a container's network namespace besides links, addresses and plain routes. CRIU does not dump the
 * namespace, because runc gets it from outside. Godwit recreates links, addresses and routes, so other settings
 * would be lost.
 */

const lines = z.array(z.looseObject({}));
const rule = z.looseObject({ priority: z.number().default(0) });
const road = z.looseObject({
  type: z.string().default('unicast'),
  dst: z.string().default(''),
  table: z.union([z.string(), z.number()]).default('main'),
  dev: z.string().optional(),
  protocol: z.string().optional(),
  nexthops: z.array(z.unknown()).optional(),
  metrics: z.array(z.unknown()).optional(),
});
type Road = z.infer<typeof road>;
const neighbour = z.looseObject({ dst: z.string(), dev: z.string().default('') });
const discipline = z.looseObject({ kind: z.string(), handle: z.string(), dev: z.string() });
const nftables = z.looseObject({
  nftables: z.array(
    z.looseObject({ table: z.looseObject({ family: z.string(), name: z.string() }).optional() }),
  ),
});

const UNSEEN = 'unseen';
const MARK = '== ';

interface Section {
  readonly command: string;
  readonly what: string;
  readonly lostIn: (text: string) => readonly Obstacle[];
}

const lost = (device: string, type: string, hint: string): Obstacle => {
  return { device, type, reason: 'nothing makes it anew at the destination', hint };
};

const FILTER = 'Filter at the host’s end of its link instead';

/** A kernel without IPv6 has nothing to read. */
const NO_IPV6 = 'test ! -e /proc/sys/net/ipv6';

const SECTIONS: readonly Section[] = [
  {
    command: 'nft -j list tables',
    what: 'rules of nft',
    lostIn: (text) =>
      nftables.parse(JSON.parse(text)).nftables.flatMap(({ table }) => {
        if (table === undefined) return [];
        const name = `table ${table.family} ${table.name}`;
        const hint = `${FILTER}, and remove it in the container (\`nft delete ${name}\`).`;
        return [lost(`nft ${name}`, 'packet filter', hint)];
      }),
  },
  {
    // The kernel lists a table here after its first use in this namespace.
    command:
      'cat /proc/self/net/ip_tables_names /proc/self/net/ip6_tables_names /proc/self/net/arp_tables_names 2>/dev/null || true',
    what: 'rules of iptables',
    lostIn: (text) =>
      [...new Set(text.split('\n').filter((each) => each !== ''))].map((each) =>
        lost(
          `iptables table ${each}`,
          'packet filter',
          `${FILTER}, and start the container without it.`,
        ),
      ),
  },
  {
    command: 'tc -j qdisc show',
    what: 'traffic control',
    lostIn: (text) =>
      parsed(discipline, text)
        // The kernel's defaults have no number.
        .filter(({ handle }) => handle !== '0:')
        .map(({ kind, dev }) => {
          const hint = `Shape its traffic at the host’s end of its link, and remove it there (\`tc qdisc del dev ${dev} ${kind === 'ingress' || kind === 'clsact' ? kind : 'root'}\`).`;
          return lost(`${kind} on ${dev}`, 'traffic control', hint);
        }),
  },
  {
    command: 'ip -j -4 rule',
    what: 'rules of routing',
    lostIn: (text) => rulesIn(text),
  },
  {
    command: `ip -j -6 rule || ${NO_IPV6}`,
    what: 'rules of routing of IPv6',
    lostIn: (text) => rulesIn(text),
  },
  {
    command: 'ip -j -4 route show table all',
    what: 'routes',
    lostIn: (text) => roadsIn(text),
  },
  {
    command: `ip -j -6 route show table all || ${NO_IPV6}`,
    what: 'routes of IPv6',
    lostIn: (text) => roadsIn(text),
  },
  {
    command: 'ip -j neigh show nud permanent',
    what: 'neighbours',
    lostIn: (text) =>
      parsed(neighbour, text).map(({ dst, dev }) => {
        const hint = `Let it find its neighbours by itself (\`ip neigh del ${dst} dev ${dev}\`).`;
        return lost(`permanent neighbour ${dst}`, 'neighbour', hint);
      }),
  },
  {
    // A kernel without IPsec has none.
    command: 'ip xfrm policy 2>/dev/null || true',
    what: 'policies of IPsec',
    lostIn: (text) => {
      const hint = 'Encrypt at the host, or inside of its programs.';
      return text.trim() === '' ? [] : [lost('IPsec', 'policy', hint)];
    },
  },
];

function parsed<T>(row: z.ZodType<T>, text: string): T[] {
  // `ip` prints nothing if it finds nothing.
  const found = lines.parse(JSON.parse(text.trim() || '[]'));
  return found.filter((each) => Object.keys(each).length > 0).map((each) => row.parse(each));
}

const EVERY_RULE = new Set([0, 32_766, 32_767]);

function rulesIn(text: string): Obstacle[] {
  return parsed(rule, text)
    .filter(({ priority }) => !EVERY_RULE.has(priority))
    .map(({ priority }) => {
      const hint = `Give the container one table of routes (\`ip rule del pref ${priority}\`).`;
      return lost(`routing rule ${priority}`, 'route', hint);
    });
}

function roadsIn(text: string): Obstacle[] {
  const seen = new Set<string>();
  return parsed(road, text).flatMap((each) => {
    const { dst, dev, type, table, protocol, nexthops, metrics } = each;
    // The kernel creates these routes from addresses, or learns them from routers.
    if (['kernel', 'ra'].includes(protocol ?? '')) return [];
    const isTwice = table === 'main' && seen.has(dst);
    if (table === 'main') seen.add(dst);
    const why =
      table === 'main'
        ? type !== 'unicast' || dev === undefined || nexthops !== undefined
          ? `a route of this kind (${nexthops === undefined ? type : 'several ways'})`
          : metrics !== undefined
            ? 'a route with settings of its own (such as mtu)'
            : isTwice
              ? 'a second route to the same place'
              : furtherOf(each)
        : `a route of the table ${table}`;
    if (why === undefined) return [];
    const reason = `${why} is not made anew at the destination`;
    const hint = 'Leave the container plain routes of the main table, one for each destination.';
    return [{ device: `route ${dst}`, type: 'route', reason, hint }];
  });
}

/** Route properties that are recreated, or that nobody has set. */
const PLAIN = new Set(['type', 'dst', 'dev', 'gateway', 'table', 'protocol', 'metric', 'flags']);

function furtherOf(found: Road): string | undefined {
  const isUsual = (key: string, value: unknown): boolean =>
    PLAIN.has(key) ||
    (key === 'scope' && (value === 'link' || value === 'global')) ||
    (key === 'pref' && value === 'medium');
  const further = Object.entries(found).filter(([key, value]) => !isUsual(key, value));
  if (further.length === 0) return undefined;
  return `a route with ${further.map(([key]) => NAMED.get(key) ?? key).join(' and ')}`.slice(
    0,
    200,
  );
}

const NAMED = new Map([
  ['prefsrc', 'src'],
  ['flow', 'realm'],
]);

export const SCRIPT = SECTIONS.map(
  ({ command }, at) => `echo '${MARK}${at}'; ${command} || echo ${UNSEEN}`,
).join('\n');

export interface Rules {
  readonly obstacles: readonly Obstacle[];
  /** Sections that could not be read: a program is missing, fails, or prints unknown output. */
  readonly unseen: readonly string[];
}

export function rulesOf(text: string): Rules {
  const obstacles: Obstacle[] = [];
  const unseen: string[] = [];
  for (const [at, { what, lostIn }] of SECTIONS.entries()) {
    const [, body = UNSEEN] = text.split(`${MARK}${at}\n`);
    const [own = ''] = body.split(`${MARK}${at + 1}\n`);
    const found = own.trimEnd().endsWith(UNSEEN) ? undefined : understood(() => lostIn(own));
    if (found === undefined) unseen.push(what);
    else obstacles.push(...found);
  }
  return { obstacles: obstacles.slice(0, 32), unseen };
}

function understood(look: () => readonly Obstacle[]): readonly Obstacle[] | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
