import { isIP } from 'node:net';
import { changed, unmovable, type Finding } from './findings.ts';
import { formatOption, parseJsonOption, splitOption, switchValue } from './options.ts';
import {
  forward as forwardShape,
  userNetdev,
  type ForwardSpec,
  type NetdevSpec,
} from './schema.ts';

type UserNetdev = Extract<NetdevSpec, { type: 'user' }>;
type Parts = readonly (readonly [string, string])[];

/** Settings that give the guest access to the host. */
const OF_THIS_HOST = new Set('tftp tftp-server-name bootfile smb smbserver guestfwd'.split(' '));
const OF_EVERY_HOST = new Set(['', '0.0.0.0', '127.0.0.1', '::', '::1']);

/**
 * `value`: original option; undefined if it was plugged in. `live`: present forwarded ports; undefined if QEMU
 * does not report them.
 */
export function describeUserNetwork(
  id: string,
  value: string | undefined,
  live: readonly ForwardSpec[] | undefined,
): { readonly netdev: UserNetdev | undefined; readonly findings: readonly Finding[] } {
  const what = 'user network';
  const findings: Finding[] = [
    changed(id, what, 'loses its connections: they end in this host’s process'),
  ];
  const parts = partsOf(value ?? '');
  const settings: Record<string, string> = {};
  const search: string[] = [];
  const given: ForwardSpec[] = [];
  for (const [key, held] of parts) {
    if (key === 'dnssearch') search.push(held);
    else if (key === 'hostfwd') {
      const read = readForward(held);
      if (read !== undefined) given.push(read);
      else if (live === undefined)
        findings.push(unmovable(id, what, `its \`hostfwd=${held}\` is unknown to Godwit`));
    } else if (OF_THIS_HOST.has(key)) {
      findings.push(unmovable(id, what, `its \`${key}\` is something of this host`));
    } else settings[key] = held;
  }
  const forwards: ForwardSpec[] = [];
  for (const each of live ?? given) {
    if (OF_EVERY_HOST.has(each.hostAddress)) forwards.push(each);
    else {
      const lost = `loses its port ${forwardText(each)}: the address is this host’s`;
      findings.push(changed(id, what, lost));
    }
  }
  const read = userNetdev.safeParse({
    type: 'user',
    id,
    ...(Object.keys(settings).length === 0 ? {} : { settings }),
    ...(search.length === 0 ? {} : { search }),
    ...(forwards.length === 0 ? {} : { forwards }),
  });
  if (read.success) return { netdev: read.data, findings };
  const [issue] = read.error.issues;
  const at = issue?.code === 'unrecognized_keys' ? issue.keys[0] : issue?.path.slice(1).join('.');
  findings.push(unmovable(id, what, `its \`${at ?? ''}\` is unknown to Godwit`));
  return { netdev: undefined, findings };
}

/** Keys and values, with each list entry separate, without the keys that all backend types have. */
function partsOf(value: string): Parts {
  const all = value.trimStart().startsWith('{')
    ? Object.entries(parseJsonOption(value) ?? {}).flatMap(([key, held]) =>
        (Array.isArray(held) ? held : [held]).map((each): readonly [string, string] => [
          key,
          textOf(each),
        ]),
      )
    : splitOption(value).flatMap((part, index): Parts => {
        const at = part.indexOf('=');
        if (at < 0) return index === 0 ? [] : [[part, 'on']];
        return [[part.slice(0, at), part.slice(at + 1)]];
      });
  return all.filter(([key]) => !/^(type|id|model|mac|macaddr|addr|vectors|name)$/.test(key));
}

/** Entry of a JSON list: `{ "str": "..." }`. */
function textOf(held: unknown): string {
  if (typeof held === 'object' && held !== null && 'str' in held) return String(held.str);
  if (typeof held === 'boolean') return held ? 'on' : 'off';
  return typeof held === 'string' || typeof held === 'number' ? String(held) : '';
}

/** Parses `tcp:HOST:PORT-GUEST:PORT`, whose addresses may be empty; undefined for other text. */
export function readForward(text: string): ForwardSpec | undefined {
  const match = /^(tcp|udp|):(\[[^\]]*\]|[^:]*):(\d+)-(\[[^\]]*\]|[^:]*):(\d+)$/.exec(text);
  if (match === null) return undefined;
  const [, protocol = '', host = '', hostPort, guest = '', guestPort] = match;
  const read = forwardShape.safeParse({
    protocol: protocol === '' ? 'tcp' : protocol,
    hostAddress: host.replaceAll(/[[\]]/g, ''),
    hostPort: Number(hostPort),
    guestAddress: guest.replaceAll(/[[\]]/g, ''),
    guestPort: Number(guestPort),
  });
  return read.success ? read.data : undefined;
}

export function forwardText(forward: ForwardSpec): string {
  const { protocol, hostAddress, hostPort, guestAddress, guestPort } = forward;
  const address = (text: string): string => (isIP(text) === 6 ? `[${text}]` : text);
  return `${protocol}:${address(hostAddress)}:${hostPort}-${address(guestAddress)}:${guestPort}`;
}

/** Parses `info usernet`: forwarded host ports of each network, by its id. */
export function parseForwards(text: string): ReadonlyMap<string, ForwardSpec[]> {
  const found = new Map<string, ForwardSpec[]>();
  let own: ForwardSpec[] | undefined;
  for (const line of text.split(/\r?\n/)) {
    const id = /^[^\s(][^(]*\((\S+)\):\s*$/.exec(line)?.[1] ?? /^(\S+):\s*$/.exec(line)?.[1];
    if (id !== undefined) {
      own = [];
      found.set(id, own);
    }
    const match = /^\s+(TCP|UDP)\[HOST_FORWARD\]\s+\d+\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)\s/.exec(
      line,
    );
    if (match === null) continue;
    const [, protocol = '', host = '', hostPort, guest = '', guestPort] = match;
    const read = readForward(
      `${protocol.toLowerCase()}:${host === '*' ? '' : host}:${hostPort}-${guest}:${guestPort}`,
    );
    if (read !== undefined) own?.push(read);
  }
  return found;
}

export function userNetdevText({
  id,
  settings = {},
  search = [],
  forwards = [],
}: UserNetdev): string {
  const all = Object.entries(settings).map(([key, held = '']): [string, string] => {
    const isOn = switchValue(held);
    return [key, isOn === undefined ? held : isOn ? 'on' : 'off'];
  });
  return formatOption('user', [
    ['id', id],
    ...all,
    ...search.map((each): [string, string] => ['dnssearch', each]),
    ...forwards.map((each): [string, string] => ['hostfwd', forwardText(each)]),
  ]);
}
