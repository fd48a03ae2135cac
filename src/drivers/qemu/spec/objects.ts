import { hasOption, valuesOf, type CommandLine } from './cmdline.ts';
import { parseDevice } from './devices.ts';
import { limitProps } from './disks/disk-filters.ts';
import type { GuestFacts, LiveObject } from './facts.ts';
import { unmovable, type Finding } from './findings.ts';
import { objectProperties } from './grammar/machine.ts';
import { hasHugePages, memoryThere } from './host-memory.ts';
import { parseJsonOption, parseOption, type Scalar } from './options.ts';
import { OBJECT_TYPES, type ObjectSpec } from './schema.ts';

/** Objects that serve only this process (TLS, secrets) and are not part of the guest. */
const OF_THIS_PROCESS = /^(tls-|authz-|secret|qtest|x-remote|monitor-)/;
const HOST_ONLY_SETTINGS = new Set(['qom-type', 'id', 'host-nodes', 'policy', 'prealloc-context']);

/** Present objects: the command line's that still exist, and those added since. Pure. */
export function describeObjects(
  line: CommandLine,
  facts: GuestFacts,
): { objects: ObjectSpec[]; findings: Finding[] } {
  const objects: ObjectSpec[] = [];
  const findings: Finding[] = [];
  const given = givenObjects(line);
  const users = usersOfMemory(line, facts);
  for (const live of facts.objects) {
    const type = given.get(live.id)?.type ?? live.type;
    if (OF_THIS_PROCESS.test(type)) continue;
    if (isMainMemory(live, given, users, facts) && !hasHugePages(live)) continue;
    const limits = facts.block.groups?.find(({ id }) => id === live.id)?.limits;
    const own = given.get(live.id)?.props ?? addedProps(live);
    if (live.memory !== undefined) {
      const made = memoryThere({ ...live, memory: live.memory }, type, own, users.get(live.id));
      findings.push(...made.findings);
      if (made.object === undefined) continue;
      objects.push(made.object);
      findings.push(...settingsOf(made.object.type, live.id, made.object.props));
      continue;
    }
    const props = limits === undefined ? own : limitProps(limits);
    const known = OBJECT_TYPES.find((each) => each === type);
    if (known !== undefined) {
      objects.push({ type: known, id: live.id, props });
      findings.push(...settingsOf(known, live.id, props));
    } else findings.push(unmovable(live.id, type, obstacle(type)));
  }
  return { objects: inGivenOrder(objects, [...given.keys()]), findings };
}

function givenObjects(line: CommandLine): Map<string, NonNullable<ReturnType<typeof parseObject>>> {
  const all = valuesOf(line, 'object').flatMap((value) => parseObject(value) ?? []);
  return new Map(all.map((object) => [object.id, object]));
}

function settingsOf(type: string, id: string, props: Readonly<Record<string, Scalar>>): Finding[] {
  const kinds = objectProperties(type);
  return Object.entries(props).flatMap(([name, value]) => {
    const kind = kinds?.get(name);
    if (kind?.fits(value) === true) return [];
    const why = kind === undefined ? 'is unknown to Godwit' : `is not ${kind.allowed}`;
    return [unmovable(id, type, `its \`${name}\` ${why}`)];
  });
}

/** The machine creates its main memory from -m: it has no option and no device uses it. */
function isMainMemory(
  { id, type, bytes }: LiveObject,
  given: ReadonlyMap<string, unknown>,
  users: ReadonlyMap<string, string>,
  { baseMemoryBytes }: GuestFacts,
): boolean {
  if (given.has(id) || users.has(id)) return false;
  return type.startsWith('memory-backend-') && bytes === baseMemoryBytes;
}

/** Id of main memory that -mem-path put into huge pages; at the destination, the machine refers to an object. */
export function hugeMainMemory(line: CommandLine, facts: GuestFacts): string | undefined {
  if (!hasOption(line, 'mem-path')) return undefined;
  const given = givenObjects(line);
  const users = usersOfMemory(line, facts);
  return facts.objects.find((live) => isMainMemory(live, given, users, facts) && hasHugePages(live))
    ?.id;
}

function addedProps(live: LiveObject): Record<string, Scalar> {
  if (live.bytes === undefined) return {};
  return live.shared ? { size: live.bytes, share: true } : { size: live.bytes };
}

function obstacle(type: string): string {
  if (/^(sev|tdx|s390-pv|pef)/.test(type)) return 'encrypted guests cannot be moved yet';
  return 'Godwit does not know how to make it on another host';
}

function usersOfMemory(line: CommandLine, { devices }: GuestFacts): Map<string, string> {
  const given = valuesOf(line, 'device').map(parseDevice);
  const plugged = devices.map(({ type, changed: props }) => ({ driver: type, props: props ?? {} }));
  return new Map(
    [...given, ...plugged].flatMap(({ driver, props }) =>
      props['memdev'] === undefined ? [] : [[String(props['memdev']), driver] as const],
    ),
  );
}

function inGivenOrder(objects: ObjectSpec[], ids: readonly string[]): ObjectSpec[] {
  const place = (object: ObjectSpec): number => {
    const at = ids.indexOf(object.id);
    return at === -1 ? ids.length : at;
  };
  return objects.toSorted((left, right) => place(left) - place(right));
}

function parseObject(
  value: string,
): { type: string; id: string; props: Record<string, Scalar> } | undefined {
  const props: Record<string, Scalar> = {};
  let type = '';
  let id = '';
  const entries = value.startsWith('{')
    ? Object.entries(parseJsonOption(value) ?? {})
    : [...parseOption(value, true).props];
  if (!value.startsWith('{')) type = parseOption(value, true).head ?? '';
  for (const [key, held] of entries) {
    if (key === 'qom-type') type = String(held);
    if (key === 'id') id = String(held);
    if (HOST_ONLY_SETTINGS.has(key)) continue;
    if (typeof held === 'string' || typeof held === 'number' || typeof held === 'boolean') {
      props[key] = held;
    }
  }
  return id === '' ? undefined : { type, id, props };
}
