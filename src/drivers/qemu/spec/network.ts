import type { CommandLine } from './cmdline.ts';
import { valuesOf } from './cmdline.ts';
import type { GuestFacts } from './facts.ts';
import { changed, unmovable } from './findings.ts';
import type { Finding } from './findings.ts';
import { parseJsonOption, parseOption, switchValue } from './options.ts';
import type { NetdevSpec } from './schema.ts';

/** The guest's network backends as they are now. Pure. */
export function describeNetwork(
  line: CommandLine,
  facts: GuestFacts,
): { netdevs: NetdevSpec[]; findings: Finding[] } {
  const given = new Map<string, ReadonlyMap<string, string>>();
  for (const value of valuesOf(line, 'netdev')) {
    const { type, props } = parseNetdev(value);
    const id = props.get('id');
    if (id !== undefined) given.set(id, new Map([...props, ['type', type]]));
  }
  const used = facts.devices.flatMap(({ netdev }) => (netdev === undefined ? [] : [netdev]));
  const ids = [...new Set([...given.keys(), ...used])];
  const findings: Finding[] = [];
  const netdevs: NetdevSpec[] = [];
  for (const id of ids) {
    const lines = facts.network.filter((each) => each.id === id && each.type !== 'nic');
    // What is not live was unplugged.
    const type = lines[0]?.type ?? given.get(id)?.get('type');
    if (type === undefined || (lines.length === 0 && !used.includes(id))) continue;
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
    case 'user':
      findings.push(
        changed(id, 'user network', 'loses its connections: they end in this host’s process'),
      );
      return { type: 'user', id };
    case 'hubport':
      return { type: 'hubport', id, hubid: hubOf(id, props, facts) };
    default:
      findings.push(
        unmovable(
          id,
          `network backend ${type}`,
          'Godwit has no counterpart for it on another host',
        ),
      );
      return undefined;
  }
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
