import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { withDeadline } from '../deadline.ts';
import { godwitError, toGodwitError } from '../errors.ts';
import { refuses, warns, type Finding } from '../migration/preflight/finding.ts';
import { MAX_PORT_RULES, type NicNetwork } from '../protocol/network.ts';
import type { OwnHooks } from './addresses.ts';
import { BINDS } from './bound.ts';
import { networkTool, type NetworkTool } from './ip.ts';

/**
 * Settings of a guest's port outside of its bridge: packet filter rules that name the port, and rate limits (`tc`).
 * The port has another name at the destination, so neither follows the guest.
 */

const READ_MS = 10_000;
const MAX_CHARACTERS = 200;

const RULE_LISTS: readonly (readonly [NetworkTool, ...string[]])[] = [
  ['nft', 'list', 'ruleset'],
  ['iptables-save'],
  ['ip6tables-save'],
  ['ebtables-save'],
];

/** Prefix of Godwit's ports; a rule for all of them is the site's matter. */
const OWN_PREFIX = 'gw';

/** Lines of a rule list that name the port, or a name prefix that matches it. Pure. */
export function rulesNaming(port: string, list: string): string[] {
  const words = list.split('\n').flatMap((line) => {
    const isNamed = line
      .split(/[\s"{},;()=]+/)
      .some((word) => word === port || isPrefixOf(word, port));
    return isNamed ? [line.trim().replaceAll(/\s+/g, ' ').slice(0, MAX_CHARACTERS)] : [];
  });
  return [...new Set(words)];
}

/** nft writes `tap*`, iptables `tap+`. */
function isPrefixOf(word: string, port: string): boolean {
  const prefix = /^(.+)[*+]$/.exec(word)?.[1];
  if (prefix === undefined || OWN_PREFIX.startsWith(prefix) || prefix.startsWith(OWN_PREFIX)) {
    return false;
  }
  return port.startsWith(prefix);
}

/** Lines of a rule list that name the MAC but not the port; other hosts may have them too. Pure. */
export function rulesOfMac(mac: string, port: string, list: string): string[] {
  const ofPort = new Set(rulesNaming(port, list));
  const found = list.split('\n').flatMap((line) => {
    const words = line.split(/[\s"{},;()=/]+/);
    if (!words.some((word) => MAC.test(word) && padded(word) === mac)) return [];
    const rule = line.trim().replaceAll(/\s+/g, ' ').slice(0, MAX_CHARACTERS);
    return ofPort.has(rule) ? [] : [`the rule for its MAC (${rule})`];
  });
  return [...new Set(found)];
}

const MAC = /^(?:[0-9a-f]{1,2}:){5}[0-9a-f]{1,2}$/i;

/** ebtables omits leading zeros. */
function padded(mac: string): string {
  const bytes = mac.toLowerCase().split(':');
  return bytes.map((byte) => byte.padStart(2, '0')).join(':');
}

const groups = z
  .array(
    z.object({
      mdb: z
        .array(
          z.object({
            port: z.string().max(64),
            grp: z.string().max(64),
            state: z.string().max(32).optional(),
          }),
        )
        .max(100_000),
    }),
  )
  .max(4096);

/** Multicast groups joined by hand (`bridge mdb add ... permanent`). Pure. */
export function staticGroups(port: string, json: string): string[] {
  const found = groups.safeParse(JSON.parse(json.trim() === '' ? '[]' : json));
  if (!found.success) return [];
  const own = found.data
    .flatMap(({ mdb }) => mdb)
    .filter((each) => each.port === port && each.state === 'permanent');
  return [...new Set(own.map(({ grp }) => `the static multicast entry for ${grp}`))];
}

const disciplines = z
  .array(z.object({ kind: z.string().max(32), handle: z.string().max(32).optional() }))
  .max(1024);

/** Queueing disciplines set by hand; the kernel's defaults have no handle. Pure. */
export function limitsOf(json: string): string[] {
  const found = disciplines.safeParse(JSON.parse(json.trim() === '' ? '[]' : json));
  if (!found.success) return [];
  const chosen = found.data.filter(({ handle = '0:' }) => handle !== '0:');
  return [...new Set(chosen.map(({ kind }) => `tc ${kind}`))];
}

/** `tc` filters that drop, redirect or rewrite frames, and not only limit a rate. Pure. */
export function tcRules(text: string): string[] {
  const lines = text.split('\n').filter((line) => !line.includes('police'));
  const kinds = lines.flatMap(
    (line) => /\bbpf\b|\bmirred\b|gact action drop|\bpedit\b/.exec(line)?.[0] ?? [],
  );
  return [...new Set(kinds)].map((kind) => `tc filter with ${kind}`);
}

type Own = Pick<NicNetwork, 'rules' | 'limits'>;

export async function withPortRules(
  nics: readonly NicNetwork[],
  signal: AbortSignal,
): Promise<NicNetwork[]> {
  if (nics.length === 0) return [];
  return withDeadline('reading the rules of ports', READ_MS, signal, async (inner) => {
    const [joined, ...lists] = await Promise.all([
      listed(['bridge', '-j', 'mdb', 'show'], inner),
      ...RULE_LISTS.map((words) => listed(words, inner)),
    ]);
    const own = (nic: NicNetwork) => ownOf(nic, { joined, lists }, inner);
    return Promise.all(nics.map(async (nic) => ({ ...nic, ...(await own(nic)) })));
  });
}

async function ownOf(
  { port, mac, attachment, ...known }: NicNetwork,
  { joined, lists }: { readonly joined: RuleListing; readonly lists: readonly RuleListing[] },
  signal: AbortSignal,
): Promise<Own> {
  const { text } = await listed(['tc', '-j', 'qdisc', 'show', 'dev', port], signal);
  const chosen = limitsOf(text);
  const ways = chosen.some((limit) => /ingress|clsact/.test(limit)) ? ['ingress', 'egress'] : [];
  const filters = await Promise.all(
    ways.map((way) => listed(['tc', 'filter', 'show', 'dev', port, way], signal)),
  );
  const rules = [
    ...(known.rules ?? []),
    ...lists.flatMap((list) => rulesNaming(port, list.text)),
    ...filters.flatMap((list) => tcRules(list.text)),
  ].slice(0, MAX_PORT_RULES);
  const limits = [
    ...(known.limits ?? []),
    ...chosen,
    ...lists.flatMap(({ unread }) => unread ?? []),
    ...(attachment.kind === 'routed' ? await portSysctls(port) : []),
    ...staticGroups(port, joined.text),
    ...lists.flatMap((list) => rulesOfMac(mac, port, list.text)),
  ];
  return {
    ...(rules.length === 0 ? {} : { rules }),
    ...(limits.length === 0 ? {} : { limits: limits.slice(0, MAX_PORT_RULES) }),
  };
}

/** Settings that a routed port gets at its destination, or that differ from `default` on every new port. */
const CARRIED_SYSCTLS: ReadonlySet<string> = new Set([
  'proxy_arp',
  'proxy_ndp',
  // The kernel sets it to the link's MTU.
  'mtu',
  // Unreadable while it is unset.
  'stable_secret',
]);

/**
 * Kernel settings of this port that differ from a new port's. They only affect routed ports, because a bridge takes
 * its ports' frames before the kernel handles addresses.
 */
export async function portSysctls(port: string, top = '/proc/sys/net'): Promise<string[]> {
  const found = ['ipv4', 'ipv6'].map(async (family) => {
    const conf = path.join(top, family, 'conf');
    const keys = await readdir(path.join(conf, port)).catch((): string[] => []);
    const settings = keys.toSorted().map(async (key): Promise<string[]> => {
      if (CARRIED_SYSCTLS.has(key)) return [];
      const [own, standard] = await Promise.all(
        [port, 'default'].map((each) => readSetting(path.join(conf, each, key))),
      );
      if (own === undefined || standard === undefined || own === standard) return [];
      return [`sysctl net.${family}.conf ${key}=${own.slice(0, MAX_CHARACTERS)}`];
    });
    return (await Promise.all(settings)).flat();
  });
  return (await Promise.all(found)).flat();
}

function readSetting(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

interface RuleListing {
  readonly text: string;
  /** Reason why an installed program lists nothing. */
  readonly unread?: string;
}

/** A kernel without the packet filter has no rules. */
const NO_FILTER = /not supported|no such file|does not exist|unknown|protocol/i;

async function listed(
  [tool, ...words]: readonly [NetworkTool, ...string[]],
  signal: AbortSignal,
): Promise<RuleListing> {
  try {
    const { status, output, reason } = await networkTool(tool, words, signal);
    if (status === 0) return { text: output };
    if (NO_FILTER.test(reason)) return { text: '' };
    const why = reason.split('\n')[0]?.slice(0, 120) ?? '';
    return { text: '', unread: `whatever \`${tool}\` does not list (${why || 'too much'})` };
  } catch (thrown) {
    signal.throwIfAborted();
    // The program is not installed.
    if (toGodwitError(thrown).code === 'GODWIT_HOST_LACKS') return { text: '' };
    throw thrown;
  }
}

const RULES_HINT =
  'Let a hook prepare-destination of the destination make them for the new port, whose name it gets; or take them back at the source.';

/** Checks that the destination recreates the port's rules and limits. Pure. */
export function judgePortRules(
  { id, port, rules = [], limits = [] }: NicNetwork,
  { host, hooks }: { readonly host: string; readonly hooks: OwnHooks },
): Finding[] {
  const hasHook = hooks.includes(BINDS);
  const findings: Finding[] = [];
  if (rules.length > 0) {
    const what = `rules of the source name the port ${port} of ${id}: ${rules.join(' | ')}`;
    const reason = `they do not follow the guest, and ${host} has no hook ${BINDS} that makes them`;
    const facts = { what: `to keep the guest under its rules (${what})`, reason };
    findings.push(
      hasHook
        ? warns(`${what}; the hook ${BINDS} has to make them`, RULES_HINT)
        : refuses(godwitError('GODWIT_CAPABILITY', facts, { hint: RULES_HINT })),
    );
  }
  if (limits.length > 0) {
    const what = `${id}: ${limits.join(', ')} of the port ${port} stays behind`;
    findings.push(warns(hasHook ? `${what}, unless the hook ${BINDS} sets it` : what, RULES_HINT));
  }
  return findings;
}
