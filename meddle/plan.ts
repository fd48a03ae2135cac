import { z } from 'zod';
import { chances } from '../faults/chance.ts';

/** One run: a guest that moves, and what its owner does meanwhile. A seed makes it, always the same one. Pure. */

export const MODES = ['precopy', 'postcopy', 'hybrid', 'cold'] as const;
export const LAYOUTS = ['none', 'shared', 'local', 'mixed'] as const;
export const DRIVERS = ['qemu', 'libvirt'] as const;

/**
 * When an operation is performed: before the move is asked for, while hosts are checked, while the destination is made
 * and disks are copied, once memory flows, in its second round, at the stop for the switch, at the destination.
 */
export const MOMENTS = [
  'before',
  'checks',
  'prepare',
  'memory',
  'round',
  'switch',
  'after',
] as const;
export type Moment = (typeof MOMENTS)[number];

export const OPERATIONS = [
  'snapshot',
  'commit',
  'resize',
  'change-medium',
  'eject-medium',
  'plug-disk',
  'unplug-disk',
  'plug-nic',
  'unplug-nic',
  'plug-cpu',
  'backup',
  'mirror',
  'pause',
  'resume',
  'shutdown',
  'reboot',
  'reset',
  'quit',
  'link-down',
  'link-up',
  'limit-disk',
  'balloon',
  'replace-image',
  'second-user',
  'second-guest',
  'isolate-port',
  'unflood-port',
  'limit-port',
  'move-port',
  'password',
  'fill-source',
  'fill-destination',
  'starve-disk',
] as const;
export type OperationKind = (typeof OPERATIONS)[number];

const scene = z.object({
  driver: z.enum(DRIVERS),
  mode: z.enum(MODES),
  path: z.enum(['native', 'wire']),
  layout: z.enum(LAYOUTS),
  /** QEMU stays after the guest has shut down, as Proxmox VE, libvirt and Nova start it. */
  noShutdown: z.boolean(),
  /** Other guests may write to its disks as well, by agreement (`share-rw=on`). */
  isShareRw: z.boolean().default(false),
  /** Cap of the memory stream, MiB/s: how long its moments last. */
  mibPerSecond: z.number().int().min(4).max(256),
});
export type Scene = z.infer<typeof scene>;

const operation = z.object({
  kind: z.enum(OPERATIONS),
  moment: z.enum(MOMENTS),
  /** From that moment on, ms. */
  afterMs: z.number().int().min(0).max(5000),
  /** Which disk, among those that the guest has. */
  pick: z.number().int().min(0).max(15),
});
export type Operation = z.infer<typeof operation>;

export const plan = z.object({
  seed: z.number().int(),
  scene,
  operations: z.array(operation).max(16),
});
export type Plan = z.infer<typeof plan>;

/** How much each operation is wanted: those that end the guest hide what comes after them. */
const WEIGHTS: Readonly<Partial<Record<OperationKind, number>>> = {
  quit: 0.4,
  shutdown: 0.7,
  reboot: 0.5,
  reset: 0.5,
  snapshot: 2,
  'limit-disk': 1.6,
  'change-medium': 1.5,
  pause: 2,
  'replace-image': 2,
  'second-user': 3,
  'second-guest': 6,
  'fill-source': 1.5,
  'fill-destination': 2,
  password: 0.7,
};
const OF_DISKS: ReadonlySet<OperationKind> = new Set([
  'snapshot',
  'commit',
  'resize',
  'unplug-disk',
  'backup',
  'mirror',
  'limit-disk',
  'replace-image',
  'second-user',
  'second-guest',
  'starve-disk',
]);
/** The file systems that local disks are on. */
const OF_LOCAL_STORAGE: ReadonlySet<OperationKind> = new Set([
  'starve-disk',
  'fill-source',
  'fill-destination',
]);
/** Orders that a guest of libvirt is given. */
const OF_LIBVIRT: ReadonlySet<OperationKind> = new Set([
  'snapshot',
  'resize',
  'plug-disk',
  'unplug-disk',
  'pause',
  'resume',
  'shutdown',
  'reboot',
  'reset',
  'quit',
  'link-down',
  'link-up',
  'limit-disk',
  'balloon',
  'replace-image',
  'second-user',
  'isolate-port',
  'unflood-port',
  'limit-port',
  'move-port',
]);
const LIBVIRT_CHANCE = 0.15;
/** QEMU refuses these while it migrates: they are of use before, or at the destination. */
const WHILE_IDLE: ReadonlySet<OperationKind> = new Set([
  'plug-disk',
  'unplug-disk',
  'plug-nic',
  'unplug-nic',
  'plug-cpu',
]);
/** A change shortly before the switch is found by the comparison at the switch alone. */
const MOMENT_CHANCES: readonly Moment[] = [...MOMENTS, 'memory', 'round', 'round'];
const MODE_CHANCES: readonly Scene['mode'][] = ['precopy', 'precopy', 'precopy', ...MODES];
const IDLE_MOMENTS: readonly Moment[] = ['before', 'checks', 'prepare', 'after'];
/** What others do to files on the host is to be found before the move as well. */
const ON_HOST: ReadonlySet<OperationKind> = new Set([
  'replace-image',
  'second-user',
  'second-guest',
  'isolate-port',
  'unflood-port',
  'limit-port',
  'move-port',
  'fill-source',
  'fill-destination',
]);
/** Another writer and another file are to be found before a disk is copied or opened. */
const FOUND_BEFORE: ReadonlySet<OperationKind> = new Set([
  'second-user',
  'second-guest',
  'replace-image',
]);
const WRITER_MOMENTS: readonly Moment[] = ['before', 'before', 'before', 'before', ...MOMENTS];
const HOST_MOMENTS: readonly Moment[] = ['before', 'before', 'before', ...MOMENTS];
/** Guests with disks have more to lose. */
const LAYOUT_CHANCES: readonly Scene['layout'][] = ['none', 'shared', 'shared', 'local', 'mixed'];
const MAX_OPERATIONS = 6;
const MAX_JITTER_MS = 900;
/** Memory takes a few seconds: long enough for each moment, and for two operations in one of them. */
const RATES = [16, 32, 64] as const;
const SHARE_RW_CHANCE = 0.15;
const WIRE_CHANCE = 0.25;

export function isOfDisk(kind: OperationKind): boolean {
  return OF_DISKS.has(kind);
}

/** The run of a seed. */
export function planRun(seed: number): Plan {
  const next = chances(seed, 'meddle');
  const among = <T>(all: readonly T[]): T => all[Math.floor(next() * all.length)] as T;
  const made: Scene = {
    driver: 'qemu',
    mode: among(MODE_CHANCES),
    path: next() < WIRE_CHANCE ? 'wire' : 'native',
    layout: among(LAYOUT_CHANCES),
    noShutdown: next() < 0.5,
    isShareRw: next() < SHARE_RW_CHANCE,
    mibPerSecond: among(RATES),
  };
  const scene = next() < LIBVIRT_CHANCE ? underLibvirt(made) : asPlain(made);
  const possible = OPERATIONS.filter((kind) => isPossible(kind, scene));
  const count = 1 + Math.floor(next() * next() * (MAX_OPERATIONS + 1));
  const operations = Array.from({ length: count }, (): Operation => {
    const kind = weighted(possible, next());
    const moments = momentsFor(kind);
    return {
      kind,
      moment: among(moments),
      // Half of them at once: what matters is often a matter of ms.
      afterMs: next() < 0.5 ? 0 : Math.floor(next() * MAX_JITTER_MS),
      pick: Math.floor(next() * 16),
    };
  });
  return { seed, scene, operations: inOrder(operations) };
}

/** A cold move sends no memory. */
function asPlain(scene: Scene): Scene {
  return scene.mode === 'cold' ? { ...scene, path: 'native' } : scene;
}

/** Its hosts have storage of their own alone, and it starts QEMU as it likes. */
function underLibvirt(scene: Scene): Scene {
  const layout = scene.layout === 'none' ? 'none' : 'local';
  const mode = scene.mode === 'cold' ? 'precopy' : scene.mode;
  return { ...scene, driver: 'libvirt', mode, layout, noShutdown: false, isShareRw: false };
}

function isPossible(kind: OperationKind, { driver, layout, isShareRw }: Scene): boolean {
  if (driver === 'libvirt' && !OF_LIBVIRT.has(kind)) return false;
  if (kind === 'second-guest' && !isShareRw) return false;
  if (OF_LOCAL_STORAGE.has(kind)) return layout === 'local' || layout === 'mixed';
  return layout !== 'none' || !OF_DISKS.has(kind);
}

function momentsFor(kind: OperationKind): readonly Moment[] {
  if (FOUND_BEFORE.has(kind)) return WRITER_MOMENTS;
  if (ON_HOST.has(kind)) return HOST_MOMENTS;
  return WHILE_IDLE.has(kind) ? IDLE_MOMENTS : MOMENT_CHANCES;
}

/** In the order of their moments, as they are performed. */
export function inOrder(operations: readonly Operation[]): Operation[] {
  const at = ({ moment }: Operation): number => MOMENTS.indexOf(moment);
  return operations.toSorted((one, two) => at(one) - at(two) || one.afterMs - two.afterMs);
}

function weighted(kinds: readonly OperationKind[], chance: number): OperationKind {
  const weight = (kind: OperationKind): number => WEIGHTS[kind] ?? 1;
  let left = chance * kinds.reduce((sum, kind) => sum + weight(kind), 0);
  const found = kinds.find((kind) => {
    left -= weight(kind);
    return left < 0;
  });
  return found ?? 'pause';
}

export function planWords({ seed, scene: of, operations }: Plan): string {
  const { driver, mode, path, layout, noShutdown, isShareRw, mibPerSecond } = of;
  const stays = `${noShutdown ? ', -no-shutdown' : ''}${isShareRw ? ', share-rw' : ''}`;
  const where = `${driver}, ${mode}, ${path}, disks ${layout}${stays}, ${mibPerSecond} MiB/s`;
  const done = operations.map(
    ({ kind, moment, afterMs }) => `${kind} at ${moment}${afterMs === 0 ? '' : ` + ${afterMs} ms`}`,
  );
  return `seed ${seed} (${where}): ${done.join(', ')}`;
}
