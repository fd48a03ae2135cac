import type { CommandLine } from './cmdline.ts';
import { valuesOf } from './cmdline.ts';
import { limitProps } from './disk-filters.ts';
import type { GuestFacts, LiveObject } from './facts.ts';
import { unmovable } from './findings.ts';
import type { Finding } from './findings.ts';
import { objectProperties } from './grammar/machine.ts';
import { parseJsonOption, parseOption } from './options.ts';
import type { Scalar } from './options.ts';
import { OBJECT_TYPES } from './schema.ts';
import type { ObjectSpec } from './schema.ts';

/** Objects that serve this process only (its TLS, its secrets) and are no part of the guest. */
const OF_THIS_PROCESS = /^(tls-|authz-|secret|qtest|x-remote|monitor-)/;
const HOST_ONLY_SETTINGS = new Set(['qom-type', 'id', 'host-nodes', 'policy', 'prealloc-context']);

/** Objects as they are now: those of the command line that still live, and those added since. Pure. */
export function describeObjects(
  line: CommandLine,
  facts: GuestFacts,
): { objects: ObjectSpec[]; findings: Finding[] } {
  const objects: ObjectSpec[] = [];
  const findings: Finding[] = [];
  const given = new Map<string, { type: string; props: Record<string, Scalar> }>();
  for (const value of valuesOf(line, 'object')) {
    const object = parseObject(value);
    if (object !== undefined) given.set(object.id, object);
  }
  for (const live of facts.objects) {
    const type = given.get(live.id)?.type ?? live.type;
    if (OF_THIS_PROCESS.test(type) || isOwnMemory(live, given.has(live.id), facts)) continue;
    // Limits may have been changed since.
    const limits = facts.block.groups?.find(({ id }) => id === live.id)?.limits;
    const props =
      limits === undefined ? (given.get(live.id)?.props ?? addedProps(live)) : limitProps(limits);
    const known = OBJECT_TYPES.find((each) => each === type);
    if (known !== undefined) {
      objects.push({ type: known, id: live.id, props });
      findings.push(...settingsOf(known, live.id, props));
    } else findings.push(unmovable(live.id, type, obstacle(type)));
  }
  return { objects: inGivenOrder(objects, [...given.keys()]), findings };
}

/** What of an object's settings cannot go along. */
function settingsOf(type: string, id: string, props: Readonly<Record<string, Scalar>>): Finding[] {
  const kinds = objectProperties(type);
  return Object.entries(props).flatMap(([name, value]) => {
    const kind = kinds?.get(name);
    if (kind?.fits(value) === true) return [];
    const why = kind === undefined ? 'is unknown to Godwit' : `is not ${kind.allowed}`;
    return [unmovable(id, type, `its \`${name}\` ${why}`)];
  });
}

/** The machine makes its own main memory from -m; it is no object of the user's. */
function isOwnMemory(live: LiveObject, isGiven: boolean, facts: GuestFacts): boolean {
  return (
    !isGiven && live.type.startsWith('memory-backend-') && live.bytes === facts.baseMemoryBytes
  );
}

function addedProps(live: LiveObject): Record<string, Scalar> {
  if (live.bytes === undefined) return {};
  return live.shared ? { size: live.bytes, share: true } : { size: live.bytes };
}

function obstacle(type: string): string {
  if (type === 'memory-backend-file') return 'its memory is a file of this host';
  if (type === 'memory-backend-shm') return 'its memory is shared with processes of this host';
  if (/^(sev|tdx|s390-pv|pef)/.test(type)) return 'encrypted guests cannot be moved yet';
  return 'Godwit does not know how to make it on another host';
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
