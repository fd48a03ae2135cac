import { valuesOf, type CommandLine } from './cmdline.ts';
import type { GuestFacts } from './facts.ts';
import { unmovable, type Finding } from './findings.ts';
import { COUNTED, countOf } from './nic-names.ts';
import { parseJsonOption, parseOption, switchValue } from './options.ts';
import type { NetdevSpec } from './schema.ts';
import { describeUserNetwork } from './user-network.ts';

export function describeNetwork(
  line: CommandLine,
  facts: GuestFacts,
): { netdevs: NetdevSpec[]; findings: Finding[] } {
  const given = new Map<string, ReadonlyMap<string, string>>();
  const values = new Map<string, string>();
  for (const [id, value] of [...netdevsOf(line), ...nicsOf(line, facts)]) {
    const { type, props } = parseNetdev(value);
    given.set(id, new Map([...props, ['type', type]]));
    values.set(id, value);
  }
  const used = facts.devices.flatMap(({ netdev }) => (netdev === undefined ? [] : [netdev]));
  const ids = [...new Set([...given.keys(), ...used])];
  const findings: Finding[] = [];
  const netdevs: NetdevSpec[] = [];
  for (const id of ids) {
    const lines = facts.network.filter((each) => each.id === id && each.type !== 'nic');
    const type = lines[0]?.type ?? given.get(id)?.get('type');
    if (type === undefined || (lines.length === 0 && !used.includes(id))) continue;
    if (type === 'user') {
      const found = describeUserNetwork(id, values.get(id), facts.forwards?.get(id));
      findings.push(...found.findings);
      if (found.netdev !== undefined) netdevs.push(found.netdev);
      continue;
    }
    const spec = describeOne(id, type, given.get(id) ?? new Map(), facts, findings);
    if (spec !== undefined) netdevs.push(spec);
  }
  return { netdevs, findings };
}

function describeOne(
  id: string,
  type: string,
  props: ReadonlyMap<string, string>,
  facts: GuestFacts,
  findings: Finding[],
): NetdevSpec | undefined {
  switch (type) {
    case 'tap':
    case 'bridge': {
      const lines = facts.network.filter((each) => each.id === id && each.type === 'tap');
      const ifname = lines[0]?.ifname ?? props.get('ifname') ?? '';
      const bridge = facts.bridges[ifname];
      const nic = facts.devices.find((device) => device.netdev === id);
      const attached = bridge !== undefined || facts.otherwise?.includes(ifname) === true;
      if (!attached || nic?.mac === undefined) {
        const reason = attached ? 'no NIC uses it' : `${ifname || 'its port'} is in no bridge`;
        findings.push(unmovable(id, 'network backend tap', reason));
        return undefined;
      }
      const vhost = switchValue(props.get('vhost')) === true;
      const queues = Math.max(1, lines.length);
      const at = bridge === undefined ? {} : { bridge };
      return { type: 'tap', id, ...at, mac: nic.mac, vhost, queues };
    }
    case 'hubport':
      return { type: 'hubport', id, hubid: hubOf(id, props, facts) };
    default:
      findings.push(unmovable(id, `network backend ${type}`, obstacleOf(type)));
      return undefined;
  }
}

function obstacleOf(type: string): string {
  if (/^(socket|stream|dgram|l2tpv3|vde|netmap|af-xdp)$/.test(type)) {
    return 'its other end is a program or a host that does not move with it';
  }
  if (type === 'passt') return 'its connections are those of a passt of this host';
  if (type.startsWith('vhost-')) return 'its back-end process or hardware stays on this host';
  return 'Godwit has no counterpart for it on another host';
}

function netdevsOf(line: CommandLine): [string, string][] {
  return valuesOf(line, 'netdev').flatMap((value): [string, string][] => {
    const id = parseNetdev(value).props.get('id');
    return id === undefined ? [] : [[id, value]];
  });
}

/** Backends of `-nic`, by their ids or QEMU's generated ids. */
function nicsOf(line: CommandLine, { network }: GuestFacts): [string, string][] {
  const counted = network
    .flatMap(({ id, type }) => (type !== 'nic' && COUNTED.test(id) ? [id] : []))
    .toSorted((one, other) => countOf(one) - countOf(other));
  return valuesOf(line, 'nic').flatMap((value): [string, string][] => {
    const { type, props } = parseNetdev(value);
    if (type === 'none') return [];
    const id = props.get('id') ?? counted.shift();
    return id === undefined ? [] : [[id, value]];
  });
}

function hubOf(id: string, props: ReadonlyMap<string, string>, facts: GuestFacts): number {
  const live = facts.network.find((each) => each.id === id)?.hubid;
  return live ?? Number(props.get('hubid') ?? 0);
}

function parseNetdev(value: string): { type: string; props: ReadonlyMap<string, string> } {
  if (value.startsWith('{')) {
    const json = parseJsonOption(value) ?? {};
    const props = new Map(
      Object.entries(json).flatMap(([key, held]) =>
        typeof held === 'object' || held === undefined ? [] : [[key, `${held as string}`] as const],
      ),
    );
    return { type: props.get('type') ?? '', props };
  }
  const { head = '', props } = parseOption(value, true);
  return { type: head, props };
}
