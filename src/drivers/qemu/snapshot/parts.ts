import { createHash } from 'node:crypto';
import { z } from 'zod';
import {
  guestPartOf,
  type GuestPart,
  type PartKind,
} from '../../../migration/guest-changes/snapshot.ts';
import { isCopyName, WHOLE_MARK } from '../mirror/jobs.ts';
import type { Part } from '../same-machine/machine-parts.ts';
import { plainName } from '../spec/network-name.ts';

const text = z.string().max(65_536);
const count = z.number().nonnegative();

const node = z.object({
  'node-name': text.default(''),
  drv: text,
  file: text,
  ro: z.boolean(),
  encrypted: z.boolean().default(false),
  detect_zeroes: text.default('off'),
  cache: z.object({ direct: z.boolean(), 'no-flush': z.boolean() }),
  image: z.object({
    'virtual-size': count,
    snapshots: z
      .array(z.object({ id: text, name: text }))
      .max(65_536)
      .default([]),
  }),
  'dirty-bitmaps': z
    .array(
      z.object({
        name: text.optional(),
        persistent: z.boolean().default(false),
        recording: z.boolean().default(true),
        granularity: count.default(0),
      }),
    )
    .max(4096)
    .default([]),
});
type Node = z.infer<typeof node>;

export const nodeList = z.array(node).max(16_384);

export const driveList = z
  .array(
    z.object({
      device: text.default(''),
      qdev: text.optional(),
      removable: z.boolean().default(false),
      'io-status': text.optional(),
      inserted: z.looseObject({ 'node-name': text.default('') }).optional(),
    }),
  )
  .max(4096);
export type Drive = z.infer<typeof driveList>[number];

export const graphAnswer = z.object({
  nodes: z.array(z.object({ id: z.number(), type: text, name: text })).max(65_536),
  edges: z.array(z.object({ parent: z.number(), child: z.number(), name: text })).max(65_536),
});

export const jobList = z.array(z.object({ id: text, type: text, status: text })).max(4096);

export const exportList = z.array(z.object({ id: text, type: text.default('') })).max(4096);

export interface Answers {
  readonly drives: readonly Drive[];
  readonly nodes: readonly Node[];
  readonly graph: z.infer<typeof graphAnswer>;
  readonly jobs: z.infer<typeof jobList>;
  readonly exports: z.infer<typeof exportList>;
  readonly devices: readonly Part[];
  /** Devices without a bus (processors, memory modules) are children of the machine only. */
  readonly peripherals: readonly { readonly name: string; readonly type: string }[];
  readonly objects: readonly { readonly name: string; readonly type: string }[];
  readonly groups: readonly { readonly name: string; readonly limits: unknown }[];
  readonly backends: readonly {
    readonly id: string;
    readonly type: string;
    readonly to?: string | undefined;
  }[];
  readonly processors: number;
  readonly memoryBytes: number;
}

/** Exceeds the longest image chain that can move. */
const DEEPEST = 200;
const OWN = /^godwit-/;
const IO_LIMIT = /^(bps|iops)(_|$)/;
const JOB_OVER: ReadonlySet<string> = new Set(['concluded', 'null', 'aborting']);

function digest(reported: string): string {
  return createHash('sha256').update(reported).digest('hex');
}

function part(kind: PartKind, name: string, value: string): GuestPart {
  return guestPartOf(kind, name, value, digest);
}

export function snapshotParts(answers: Answers): GuestPart[] {
  const { devices, peripherals, objects, groups, jobs, exports, backends } = answers;
  const inTree = new Set(devices.map(({ place }) => place.split('/').at(-1)));
  return [
    ...answers.drives.flatMap((drive) => driveParts(drive, answers)),
    ...devices.map(({ place, type, props }) => part('device', place, deviceValue(type, props))),
    ...peripherals
      .filter(({ name }) => !inTree.has(name))
      .map(({ name, type }) => part('device', name, type)),
    ...objects
      .filter(({ name }) => !OWN.test(name))
      .map(({ name, type }) => part('object', name, type)),
    ...groups.map(({ name, limits }) => part('limits', name, limitText(limits))),
    ...jobs
      .filter(({ id, status }) => !isCopyName(id) && !OWN.test(id) && !JOB_OVER.has(status))
      .map(({ id, type }) => part('job', id, type)),
    ...exports.filter(({ id }) => !OWN.test(id)).map(({ id, type }) => part('export', id, type)),
    ...backends
      .filter(({ id }) => !OWN.test(id))
      .map(({ id, type, to = '' }) => part('backend', id, `${type} ${backendText(to)}`.trim())),
    part('processors', 'all', String(answers.processors)),
    part('memory', 'all', String(answers.memoryBytes)),
  ];
}

/** A socket's present connection is not a setting. */
function backendText(to: string): string {
  return to.replace(/^disconnected:/, '').replace(/ <-> .*$/s, '');
}

/** The disk reports its node, not the device. */
function deviceValue(type: string, props: Readonly<Record<string, string>>): string {
  const settings = Object.entries(props)
    .filter(([name]) => name !== 'drive')
    .toSorted(([one], [two]) => (one < two ? -1 : 1));
  return `${type} ${digest(JSON.stringify(settings)).slice(0, 16)}`;
}

function driveParts(drive: Drive, { nodes, graph }: Answers): GuestPart[] {
  const name = driveName(drive);
  const top = drive.inserted?.['node-name'];
  if (top === undefined || isOwnNode(top)) return [];
  const byName = new Map(nodes.map((each) => [each['node-name'], each]));
  const chain = chainOf(top, byName, graph);
  const root = byName.get(top);
  const bitmaps = new Map(
    chain
      .flatMap((each) => each['dirty-bitmaps'])
      .filter((each) => each.name !== undefined && !OWN.test(each.name))
      .map((each) => [each.name, bitmapText(each)] as const),
  );
  const limits = Object.entries(drive.inserted ?? {}).filter(
    ([key, value]) => IO_LIMIT.test(key) && value !== 0,
  );
  return [
    part(drive.removable ? 'medium' : 'disk', name, chain.map(imageText).join(' on ')),
    ...(root === undefined ? [] : [part('size', name, String(root.image['virtual-size']))]),
    ...(limits.length === 0 ? [] : [part('limits', name, limitText(Object.fromEntries(limits)))]),
    ...[...bitmaps].map(([bitmap, value]) => part('bitmap', `${bitmap} of ${name}`, value)),
    ...chain.flatMap(({ file, image: { snapshots } }) =>
      // The file below a format reports no snapshots.
      snapshots.map((each) => part('snapshot', `${each.name} (${each.id}) of ${name}`, file)),
    ),
  ];
}

/** Images of a disk from the top, and the file below each, without a copy's filter and target. */
function chainOf(top: string, byName: ReadonlyMap<string, Node>, graph: Answers['graph']): Node[] {
  const below = childNames(graph);
  const chain: Node[] = [];
  const seen = new Set<string>();
  const walk = (name: string): void => {
    const found = byName.get(name);
    if (found === undefined || seen.has(name) || isOwnNode(name) || seen.size >= DEEPEST) return;
    seen.add(name);
    if (found.drv !== 'mirror_top') chain.push(found);
    for (const child of below.get(name) ?? []) walk(child);
  };
  walk(top);
  return chain;
}

export function childNames({ nodes, edges }: z.infer<typeof graphAnswer>): Map<string, string[]> {
  const names = new Map(nodes.map(({ id, name }) => [id, name]));
  const below = new Map<string, string[]>();
  for (const { parent, child } of edges) {
    const [from, to] = [names.get(parent), names.get(child)];
    if (from === undefined || to === undefined) continue;
    below.set(from, [...(below.get(from) ?? []), to]);
  }
  return below;
}

function isOwnNode(name: string): boolean {
  return isCopyName(name) || name === WHOLE_MARK;
}

/** QEMU reopens the file below a format read-only or writable as needed, so that is not a setting. */
function imageText({ drv, file, ro, encrypted, detect_zeroes, cache }: Node): string {
  const plain = plainName(file);
  // A digest hides the client's settings, which include passwords.
  const shown = plain.startsWith('json:') ? `json (${digest(plain).slice(0, 16)})` : plain;
  const options = [
    ...(ro && drv !== 'file' ? ['read-only'] : []),
    ...(encrypted ? ['encrypted'] : []),
    ...(cache.direct ? ['direct'] : []),
    ...(cache['no-flush'] ? ['no-flush'] : []),
    ...(detect_zeroes === 'off' ? [] : [`detect-zeroes=${detect_zeroes}`]),
  ];
  return `${[drv, ...options].join(',')}:${shown}`;
}

function bitmapText({ persistent, recording, granularity }: Node['dirty-bitmaps'][number]): string {
  return `${persistent ? 'kept' : 'memory'},${granularity}${recording ? '' : ',disabled'}`;
}

function limitText(limits: unknown): string {
  if (typeof limits !== 'object' || limits === null) return '';
  const set = Object.entries(limits).filter(([, value]) => value !== 0 && value !== '');
  return set.map(([name, value]) => `${name}=${String(value)}`).join(',');
}

export function driveName({ qdev, device }: Pick<Drive, 'qdev' | 'device'>): string {
  const place = /^\/machine\/(?:peripheral\/([^/]+)|(.+?))(?:\/virtio-backend)?$/.exec(qdev ?? '');
  return place?.[1] ?? place?.[2] ?? (qdev || device);
}

/** Disks whose errors stopped the guest, with the reason: `disk0 (no space left)`. Undefined if none did. */
export function failedDrives(drives: readonly Drive[]): string | undefined {
  const failed = drives.filter(({ 'io-status': io = 'ok' }) => io !== 'ok');
  if (failed.length === 0) return undefined;
  const words = failed.map((drive) => {
    const noSpace = drive['io-status'] === 'nospace' ? ' (no space left)' : '';
    return `${driveName(drive)}${noSpace}`;
  });
  return words.join(', ').slice(0, 512);
}
