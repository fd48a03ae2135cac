import { connection, TCP_STATES, type Connection } from '../../protocol/peer/connections.ts';

/** Text formats of `conntrack`: the kernel's table, and changes to it. Pure. */

export interface Entries {
  readonly entries: readonly Connection[];
  /** Lines of a protocol that cannot be restored, or that are not understood. */
  readonly leftOut: number;
}

/** Parses `conntrack -L -o extended`. Never throws; skips lines that are not understood. */
export function parseEntries(text: string): Entries {
  const entries: Connection[] = [];
  let leftOut = 0;
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const entry = parseLine(line);
    if (entry === undefined) leftOut += 1;
    else entries.push(entry);
  }
  return { entries, leftOut };
}

const WORDS = 64;
const STATES: ReadonlySet<string> = new Set(TCP_STATES);

/** `ipv4 2 tcp 6 99 ESTABLISHED src=.. dst=.. sport=.. dport=.. src=.. [ASSURED] mark=0 zone=5 use=1` */
function parseLine(line: string): Connection | undefined {
  const words = line.trim().split(/\s+/, WORDS);
  const [family = '', , protocol = '', , timeout = '', ...rest] = words;
  if (!/^ipv[46]$/.test(family) || !/^\d{1,7}$/.test(timeout)) return undefined;
  // The first value of a name is for the original direction, the second for the reply.
  const values = new Map<string, string[]>();
  const flags = new Set<string>();
  for (const word of rest) {
    const [, name, value] = /^([a-z-]{1,16})=(\S{0,64})$/.exec(word) ?? [];
    if (name !== undefined && value !== undefined)
      values.set(name, [...(values.get(name) ?? []), value]);
    else flags.add(word);
  }
  const both = (name: string): string[] => values.get(name) ?? [];
  const number = (text: string | undefined): number =>
    text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  const [sources, targets] = [both('src'), both('dst')];
  const [fromPorts, toPorts] = [both('sport'), both('dport')];
  // A zone for one direction only cannot be expressed.
  if (values.has('orig-zone') || values.has('reply-zone')) return undefined;
  const parsed = connection.safeParse({
    protocol,
    original: { from: sources[0], to: targets[0] },
    reply: { from: sources[1], to: targets[1] },
    timeoutS: Math.min(number(timeout), 864_000),
    seenReply: !flags.has('[UNREPLIED]'),
    assured: flags.has('[ASSURED]'),
    mark: number(both('mark')[0] ?? '0'),
    zone: number(both('zone')[0] ?? '0'),
    ...(protocol.startsWith('icmp')
      ? { type: number(both('type')[0]), code: number(both('code')[0]), id: number(both('id')[0]) }
      : {
          originalPorts: { from: number(fromPorts[0]), to: number(toPorts[0]) },
          replyPorts: { from: number(fromPorts[1]), to: number(toPorts[1]) },
        }),
    ...(protocol === 'tcp' ? { state: rest.find((word) => STATES.has(word)) } : {}),
  });
  if (!parsed.success || !agrees(parsed.data, family)) return undefined;
  return parsed.data;
}

function agrees({ original, reply }: Connection, family: string): boolean {
  const all = [original.from, original.to, reply.from, reply.to];
  return all.every((address) => address.includes(':') === (family === 'ipv6'));
}

/** True if one of the guest's addresses is an end of it, translated or not. */
export function concerns({ original, reply }: Connection, addresses: ReadonlySet<string>): boolean {
  return [original.from, original.to, reply.from, reply.to].some((each) => addresses.has(each));
}

/** Equal for entries that the kernel considers the same. */
export function keyOf(entry: Connection): string {
  const { protocol, original, zone } = entry;
  const own =
    'originalPorts' in entry
      ? [entry.originalPorts.from, entry.originalPorts.to]
      : [entry.type, entry.code, entry.id];
  return [protocol, original.from, original.to, ...own, zone].join(' ');
}

export interface Change {
  readonly fresh: readonly Connection[];
  readonly gone: readonly Connection[];
}

/** Changes for a host that has `before`, ignoring timeouts. */
export function changes(before: ReadonlyMap<string, Connection>, now: Entries['entries']): Change {
  const present = new Set(now.map(keyOf));
  const fresh = now.filter((entry) => {
    const known = before.get(keyOf(entry));
    return known === undefined || essence(known) !== essence(entry);
  });
  return { fresh, gone: [...before.values()].filter((entry) => !present.has(keyOf(entry))) };
}

function essence({ timeoutS: _passes, ...entry }: Connection): string {
  return JSON.stringify(entry);
}

/** Lines that delete all entries with one of these addresses, with one table walk each. */
export function deleteAllLines(addresses: readonly string[]): string[] {
  return addresses.flatMap((address) => [`-D -s ${address}`, `-D -r ${address}`]);
}

type Words = (string | number)[][];

/** `conntrack --load-file` line that adds an entry, or does nothing if it exists. */
export function addLine(entry: Connection): string {
  const { original, reply, timeoutS, seenReply, assured, mark, zone, protocol } = entry;
  const seen = [...(seenReply ? ['SEEN_REPLY'] : []), ...(assured ? ['ASSURED'] : [])];
  const words: Words = [
    // An entry that is about to be used must not expire at once.
    ['-A', '-t', Math.max(1, timeoutS), '-u', seen.join(',') || 'UNSET'],
    ['-s', original.from, '-d', original.to, '-r', reply.from, '-q', reply.to],
    ['-p', protocol, ...ownWords(entry)],
  ];
  if ('replyPorts' in entry) {
    const { from, to } = entry.replyPorts;
    words.push(['--reply-port-src', from, '--reply-port-dst', to]);
  }
  if ('state' in entry) words.push(['--state', entry.state]);
  if (mark !== 0) words.push(['-m', mark]);
  if (zone !== 0) words.push(['-w', zone]);
  return words.flat().join(' ');
}

export function deleteLine(entry: Connection): string {
  const { original, protocol, zone } = entry;
  const words: Words = [
    ['-D', '-s', original.from, '-d', original.to],
    ['-p', protocol, ...ownWords(entry)],
  ];
  if (zone !== 0) words.push(['-w', zone]);
  return words.flat().join(' ');
}

function ownWords(entry: Connection): Words[number] {
  if ('originalPorts' in entry) {
    const { from, to } = entry.originalPorts;
    return ['--sport', from, '--dport', to];
  }
  const name = entry.protocol;
  const { type, code, id } = entry;
  return [`--${name}-type`, type, `--${name}-code`, code, `--${name}-id`, id];
}
