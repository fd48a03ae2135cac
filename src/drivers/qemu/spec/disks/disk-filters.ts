import type { BlockFacts, Limits, LiveDisk, LiveNode } from './disk-facts.ts';
import type { DriveOptions, NodeOptions } from './disk-options.ts';
import type { BlockFilter } from './disk-schema.ts';
import { ID } from '../grammar/kinds.ts';
import { parseJsonOption, type Scalar } from '../options.ts';
import type { ObjectSpec } from '../schema.ts';

/** Filters between an image and its device: throughput limits and copy-on-read. Pure. */

const MAX = 8;
const KNOWN = new Set(
  'driver node-name file throttle-group discard detect-zeroes cache read-only auto-read-only force-share'.split(
    ' ',
  ),
);

function isFilter({ driver }: LiveNode): boolean {
  return driver === 'throttle' || driver === 'copy-on-read';
}

export function belowFilters(
  root: string,
  { nodes, edges }: Pick<BlockFacts, 'nodes' | 'edges'>,
): { readonly image: string; readonly filters: readonly LiveNode[] } {
  const filters: LiveNode[] = [];
  let image = root;
  while (filters.length < MAX) {
    const node = nodes.find(({ name }) => name === image);
    const below = edges.find(({ parent, role }) => parent === image && role === 'file')?.child;
    if (node === undefined || !isFilter(node) || below === undefined) break;
    filters.unshift(node);
    image = below;
  }
  return { image, filters };
}

export function describeFilter(
  live: LiveNode,
  options: NodeOptions,
  node: string,
): BlockFilter | { readonly obstacle: string } {
  const { given, by, nested } = options;
  const unknown = Object.keys(given).find((key) => !KNOWN.has(key));
  if (unknown !== undefined) return { obstacle: `its setting \`${unknown}\` is unknown to Godwit` };
  const said = given['discard'];
  const passes = said === undefined ? nested || by === 'nobody' : said === 'unmap' || said === 'on';
  const common = {
    node,
    discard: passes ? 'unmap' : 'ignore',
    detectZeroes: live.detectZeroes,
  } as const;
  if (live.driver !== 'throttle') return { kind: 'copy-on-read', ...common };
  // QEMU includes it in the generated filename of a node.
  const reported = given['throttle-group'] ?? reportedOptions(live.file)['throttle-group'];
  if (typeof reported !== 'string')
    return { obstacle: 'QEMU does not report by which group it is limited' };
  return { kind: 'throttle', group: reported, ...common };
}

function reportedOptions(file: string): DriveOptions {
  return file.startsWith('json:') ? (parseJsonOption(file.slice(5)) ?? {}) : {};
}

/** Objects that limit a guest's disks: existing ones, and one for each group of limited drives. */
export class ThrottleGroups {
  readonly made: ObjectSpec[] = [];
  readonly #taken: Set<string>;
  readonly #known: ReadonlySet<string>;
  readonly #byGroup = new Map<string, string>();

  constructor({ groups = [] }: BlockFacts, objects: readonly { readonly id: string }[]) {
    this.#known = new Set(groups.map(({ id }) => id));
    this.#taken = new Set(objects.map(({ id }) => id));
  }

  of({ limits, group = '' }: LiveDisk): string | undefined {
    if (limits === undefined) return undefined;
    // A drive may be in an object's group.
    const known = this.#known.has(group) ? group : this.#byGroup.get(group);
    if (known !== undefined) return known;
    const base = `throttle-${group.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(-100)}`;
    let id = base;
    for (let number = 2; this.#taken.has(id) || !ID.test(id); number++) id = `${base}-${number}`;
    this.#taken.add(id);
    this.#byGroup.set(group, id);
    this.made.push({ type: 'throttle-group', id, props: limitProps(limits) });
    return id;
  }
}

export function limitProps(limits: Limits): Record<string, Scalar> {
  return Object.fromEntries(Object.entries(limits).map(([name, value]) => [`x-${name}`, value]));
}

export function limitsOf(disk: LiveDisk, block: BlockFacts): Limits {
  const { filters } = belowFilters(disk.root ?? '', block);
  const groups = filters.map(({ file }) => reportedOptions(file)['throttle-group']);
  const held = (block.groups ?? []).filter(({ id }) => groups.includes(id));
  return Object.assign({}, ...held.map(({ limits }) => limits), disk.limits) as Limits;
}
