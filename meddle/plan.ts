import { z } from 'zod';

/** One run: a guest that moves, and what its owner does meanwhile. Pure. */

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

export function isOfDisk(kind: OperationKind): boolean {
  return OF_DISKS.has(kind);
}

/** In the order of their moments, as they are performed. */
export function inOrder(operations: readonly Operation[]): Operation[] {
  const at = ({ moment }: Operation): number => MOMENTS.indexOf(moment);
  return operations.toSorted((one, two) => at(one) - at(two) || one.afterMs - two.afterMs);
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
