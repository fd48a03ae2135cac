import type { Moment, OperationKind, Plan, Scene } from './plan.ts';

/**
 * Orders at which a defect of the product once showed, each at the moment and with the disks at which no other check of the
 * product hides it. Chance alone draws most of them less than once in 100 runs. Pure.
 */

/** A run with a guest of QEMU that moves live, and one order. */
export interface Drill {
  readonly kinds: readonly OperationKind[];
  readonly moments: readonly Moment[];
  readonly layouts: readonly Scene['layout'][];
  readonly isShareRw: boolean;
  /** Undefined: QEMU may stay after a shutdown, or end. */
  readonly noShutdown?: boolean;
}

/** Orders after which a move goes on as before. The last two are refused: there is neither a snapshot nor a second NIC. */
const QUIET: readonly OperationKind[] = ['link-up', 'balloon', 'password', 'commit', 'unplug-nic'];

const drill = (
  kinds: Drill['kinds'],
  moments: Drill['moments'],
  layouts: Drill['layouts'],
  isShareRw = false,
): Drill => ({ kinds, moments, layouts, isShareRw });

export const DRILLS = {
  /** The destination opens the file that lies at the path. */
  replaced: drill(['replace-image'], ['before'], ['shared']),
  /** The file at the path of a copied disk is removed at the source. */
  'replaced later': drill(['replace-image'], ['memory', 'round'], ['local']),
  writer: drill(['second-user'], ['before'], ['local']),
  agreement: drill(QUIET, ['before', 'prepare', 'memory'], ['local', 'mixed'], true),
  medium: drill(['change-medium', 'eject-medium'], ['prepare', 'memory'], ['none', 'shared']),
  /** Nothing copies a disk that both hosts see, so the comparison alone finds its snapshot. */
  snapshot: drill(['snapshot'], ['prepare', 'memory'], ['shared']),
  /** A NIC is found by its backend as well, a processor by the number of processors; QEMU plugs nothing once memory flows. */
  plugged: drill(['plug-disk'], ['prepare'], ['none', 'shared']),
  paused: drill(['pause'], ['memory'], ['none', 'shared']),
  /** Before the guest is described: later, the snapshot that starves it may be found first. */
  starved: drill(['starve-disk'], ['before', 'checks'], ['local']),
  /** Its hypervisor is held by then, and ends with the guest. */
  ended: { ...drill(['shutdown'], ['prepare'], ['none', 'shared']), noShutdown: false },
} as const satisfies Readonly<Record<string, Drill>>;

export type DrillName = keyof typeof DRILLS;

/** Whether a run does the same as the drill, even if it was drawn by chance. */
export function isDrill(name: DrillName, { scene, operations }: Plan): boolean {
  const { kinds, moments, layouts, isShareRw, noShutdown }: Drill = DRILLS[name];
  const isSame =
    scene.driver === 'qemu' &&
    scene.mode !== 'cold' &&
    scene.isShareRw === isShareRw &&
    (noShutdown ?? scene.noShutdown) === scene.noShutdown &&
    layouts.includes(scene.layout);
  const at = operations.findIndex(
    ({ kind, moment, afterMs }) =>
      kinds.includes(kind) && moments.includes(moment) && (afterMs === 0 || moment === 'before'),
  );
  return isSame && at >= 0 && operations.every(({ kind }, i) => i === at || QUIET.includes(kind));
}
