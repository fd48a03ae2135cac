import { chances } from '../faults/chance.ts';
import { DRILLS, type Drill } from './drills.ts';
import {
  inOrder,
  isOfDisk,
  MODES,
  MOMENTS,
  OPERATIONS,
  type Moment,
  type Operation,
  type OperationKind,
  type Plan,
  type Scene,
} from './plan.ts';

/** How a seed makes a run, always the same one. Pure. */

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
const MAX_PICK = 16;
/** Runs of one seed of the program; the next seed begins after them. */
export const MAX_RUNS = 100_000;
/** Every so many runs one is a drill. */
const DRILL_EVERY = 4;

type Among = <T>(all: readonly T[]) => T;

/** The run of a seed. */
export function planRun(seed: number): Plan {
  const next = chances(seed, 'meddle');
  const among: Among = <T>(all: readonly T[]): T => all[Math.floor(next() * all.length)] as T;
  const made: Scene = {
    driver: 'qemu',
    mode: among(MODE_CHANCES),
    path: next() < WIRE_CHANCE ? 'wire' : 'native',
    layout: among(LAYOUT_CHANCES),
    noShutdown: next() < 0.5,
    isShareRw: next() < SHARE_RW_CHANCE,
    mibPerSecond: among(RATES),
  };
  const drill = drillOf(seed);
  if (drill !== undefined) return { seed, ...drilled(drill, made, among) };
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
      pick: Math.floor(next() * MAX_PICK),
    };
  });
  return { seed, scene, operations: inOrder(operations) };
}

/** Drills take turns, so that any 100 runs one after the other have each of them. Each seed of the program begins with another one. */
function drillOf(seed: number): Drill | undefined {
  if (seed % DRILL_EVERY !== DRILL_EVERY - 1) return undefined;
  const all = Object.values(DRILLS);
  const turn = Math.floor(seed / DRILL_EVERY) + Math.floor(seed / MAX_RUNS);
  return all[turn % all.length];
}

function drilled(
  { kinds, moments, layouts, isShareRw, noShutdown }: Drill,
  made: Scene,
  among: Among,
): Omit<Plan, 'seed'> {
  const mode = made.mode === 'cold' ? 'precopy' : made.mode;
  const pick = among(Array.from({ length: MAX_PICK }, (_, index) => index));
  const kept = noShutdown ?? made.noShutdown;
  return {
    scene: { ...made, mode, layout: among(layouts), isShareRw, noShutdown: kept },
    operations: [{ kind: among(kinds), moment: among(moments), afterMs: 0, pick }],
  };
}

/** A cold move sends no memory. */
function asPlain(scene: Scene): Scene {
  return scene.mode === 'cold' ? { ...scene, path: 'native' } : scene;
}

/** Its hosts have storage of their own alone, and it starts QEMU as it likes. */
function underLibvirt(scene: Scene): Scene {
  const layout = scene.layout === 'none' ? 'none' : 'local';
  // Over the wire libvirt moves memory by pre-copy alone, and Godwit refuses any other mode.
  const isPrecopy = scene.mode === 'cold' || scene.path === 'wire';
  const mode = isPrecopy ? 'precopy' : scene.mode;
  return { ...scene, driver: 'libvirt', mode, layout, noShutdown: false, isShareRw: false };
}

function isPossible(kind: OperationKind, { driver, layout, isShareRw }: Scene): boolean {
  if (driver === 'libvirt' && !OF_LIBVIRT.has(kind)) return false;
  if (kind === 'second-guest' && !isShareRw) return false;
  if (OF_LOCAL_STORAGE.has(kind)) return layout === 'local' || layout === 'mixed';
  return layout !== 'none' || !isOfDisk(kind);
}

function momentsFor(kind: OperationKind): readonly Moment[] {
  if (FOUND_BEFORE.has(kind)) return WRITER_MOMENTS;
  if (ON_HOST.has(kind)) return HOST_MOMENTS;
  return WHILE_IDLE.has(kind) ? IDLE_MOMENTS : MOMENT_CHANCES;
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
