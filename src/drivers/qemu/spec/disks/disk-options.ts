import { isRecord } from '../../../../formats/json.ts';
import { valuesOf, type CommandLine } from '../cmdline.ts';
import type { BlockFacts } from './disk-facts.ts';
import { standsInFor } from '../moved-names.ts';
import { parseJsonOption, parseOption } from '../options.ts';

/** Block node options that only the command line shows, not a QEMU query: aio, discard, probing. Pure. */

export type DriveOptions = Readonly<Record<string, unknown>>;

export interface NodeOptions {
  readonly given: DriveOptions;
  /** Source of the options: a drive's settings also apply to the file below it. */
  readonly by: 'blockdev' | 'drive' | 'hda' | 'nobody';
  /** Child of another node: QEMU then passes discards on by itself. */
  readonly nested: boolean;
  readonly drive: DriveOptions | undefined;
}

const NOBODY: NodeOptions = { given: {}, by: 'nobody', nested: false, drive: undefined };

export class DiskOptions {
  readonly #byNode = new Map<string, NodeOptions>();

  constructor(line: CommandLine, facts: BlockFacts) {
    for (const value of valuesOf(line, 'blockdev')) {
      const given = parseBlockdev(value);
      const name = given['node-name'];
      if (typeof name === 'string') {
        const options = { given, by: 'blockdev', nested: false, drive: undefined } as const;
        this.#walk(name, options, facts);
        for (const node of facts.nodes) {
          if (standsInFor(node.name, name)) this.#walk(node.name, options, facts);
        }
      }
    }
    const drives = new Map(namedDrives(line));
    for (const { drive, root } of facts.disks) {
      const found = drives.get(drive);
      if (drive === '' || root === undefined || found === undefined) continue;
      const { given, by } = found;
      this.#walk(root, { given, by, nested: false, drive: given }, facts);
    }
  }

  of(node: string): NodeOptions {
    return this.#byNode.get(node) ?? NOBODY;
  }

  #walk(name: string, options: NodeOptions, facts: BlockFacts): void {
    if (this.#byNode.has(name)) return;
    this.#byNode.set(name, options);
    for (const { parent, child, role } of facts.edges) {
      if (parent !== name) continue;
      const own = options.given[role];
      // A string refers to a node that is defined separately.
      if (options.by === 'blockdev' && typeof own === 'string') continue;
      const given = isRecord(own) ? own : {};
      this.#walk(child, { ...options, given, nested: true }, facts);
    }
  }
}

/** Drives by QEMU's ids: the given id, or `virtio0` and `ide0-hd1` without one. */
function namedDrives(line: CommandLine): [string, { given: DriveOptions; by: 'drive' | 'hda' }][] {
  const found: [string, { given: DriveOptions; by: 'drive' | 'hda' }][] = [];
  const counts = new Map<string, number>();
  const next = (kind: string): number => {
    const at = counts.get(kind) ?? 0;
    counts.set(kind, at + 1);
    return at;
  };
  for (const { name, value } of line.options) {
    const letter = /^hd([abcd])$/.exec(name)?.[1];
    if (letter !== undefined) {
      for (const id of ideNames('abcd'.indexOf(letter), 'hd')) {
        found.push([id, { given: { file: value ?? '' }, by: 'hda' }]);
      }
    } else if (name === 'cdrom') {
      for (const id of ideNames(2, 'cd')) {
        found.push([id, { given: { file: value ?? '' }, by: 'hda' }]);
      }
    }
    if (name === 'pflash') {
      found.push([`pflash${next('pflash')}`, { given: { file: value ?? '' }, by: 'hda' }]);
    }
    if (name !== 'drive') continue;
    const given = nest(parseOption(value ?? '', false).props);
    for (const id of driveNames(given, next)) found.push([id, { given, by: 'drive' }]);
  }
  return found;
}

function driveNames(given: DriveOptions, next: (kind: string) => number): string[] {
  const { id } = given;
  if (typeof id === 'string') return [id];
  const kind = typeof given['if'] === 'string' ? given['if'] : 'ide';
  // QEMU names a flash chip by its unit; disk units restart on each bus.
  const place = given['index'] ?? (kind === 'pflash' ? given['unit'] : undefined);
  const media = given['media'] === 'cdrom' ? 'cd' : 'hd';
  const { bus, unit } = given;
  if (kind !== 'pflash' && (typeof bus === 'string' || typeof unit === 'string')) {
    const at = typeof unit === 'string' ? [Number(unit)] : [0, 1];
    return at.map((each) => `${kind}${Number(bus ?? 0)}-${media}${each}`);
  }
  const index = typeof place === 'string' ? Number(place) : next(kind);
  return kind === 'ide' ? ideNames(index, media) : [`${kind}${index}`, `${kind}0-${media}${index}`];
}

/** Machines differ in drives per bus, so both numberings are returned. */
function ideNames(index: number, media: string): string[] {
  return [`ide${index >> 1}-${media}${index & 1}`, `ide${index}-${media}0`];
}

/** `-blockdev` in either form, with nested objects. */
export function parseBlockdev(value: string): DriveOptions {
  if (!value.trimStart().startsWith('{')) {
    const { head, props } = parseOption(value, true);
    return nest(head === undefined ? props : new Map([['driver', head], ...props]));
  }
  return parseJsonOption(value) ?? {};
}

/** `file.driver=file` becomes `{ file: { driver: 'file' } }`. */
function nest(props: ReadonlyMap<string, string>): DriveOptions {
  const top: Record<string, unknown> = {};
  for (const [key, value] of props) {
    const parts = key.split('.').filter((part) => part !== '__proto__');
    const last = parts.pop();
    if (last === undefined) continue;
    let at = top;
    for (const part of parts) {
      const inner: unknown = Object.hasOwn(at, part) ? at[part] : undefined;
      const next: Record<string, unknown> = isRecord(inner) ? inner : {};
      at[part] = next;
      at = next;
    }
    at[last] = value;
  }
  return top;
}
