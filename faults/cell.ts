/** What a cell of the fault matrix is: one fault, at one moment of a migration, in one mode. Pure. */

export const FAULTS = [
  'kill-source-mover',
  'kill-destination-mover',
  'kill-source-agent',
  'kill-destination-agent',
  'kill-source-qemu',
  'kill-destination-qemu',
  'freeze-source-mover',
  'freeze-destination-mover',
  'link-reset',
  'link-dark-5s',
  'link-dark-40s',
  'link-slow',
  'link-one-way',
  'disk-full',
  'disk-readonly',
  'agent-newer',
  'clock-step',
] as const;

/** Those that a guest with disks of its host alone is tried with. */
export const DISK_FAULTS = [
  'kill-source-mover',
  'kill-destination-mover',
  'kill-source-agent',
  'kill-destination-agent',
  'kill-source-qemu',
  'kill-destination-qemu',
  'link-reset',
  'link-dark-5s',
  'link-dark-40s',
  'storage-full',
  'storage-error',
] as const;

/** Those that a container is tried with. */
export const CONTAINER_FAULTS = [
  'kill-source-mover',
  'kill-destination-mover',
  'kill-source-agent',
  'kill-destination-agent',
  'kill-source-runc',
  'kill-source-criu',
  'kill-destination-runc',
  'kill-destination-criu',
  'kill-destination-pager',
  'kill-source-container',
  'kill-destination-container',
  'link-reset',
  'link-dark-5s',
  'storage-full',
] as const;

/** A host of the migration loses its power, and comes back once other hosts have tried to recover the guest. */
export const POWER_FAULTS = ['power-source', 'power-destination'] as const;
export type PowerFault = (typeof POWER_FAULTS)[number];

export type Fault =
  | (typeof FAULTS)[number]
  | (typeof DISK_FAULTS)[number]
  | (typeof CONTAINER_FAULTS)[number]
  | PowerFault;

export const PHASES = [
  'checking',
  'preparing',
  'first-round',
  'later-round',
  'before-switch',
  'switchover',
  'after-commit',
  'cleanup',
] as const;

/** The moments of disks that are copied while the guest runs: in a cell of one of them the guest has such disks. */
export const DISK_PHASES = ['seeding', 'disks-first-pass', 'disks-ready', 'disks-switch'] as const;

/** The moments of a container's migration: in a cell of one of them the guest is a container. */
export const CONTAINER_PHASES = [
  'box-checking',
  'box-preparing',
  'box-memory',
  'box-dump',
  'box-restore',
  'box-after-commit',
  'box-following',
  'box-cleanup',
] as const;
export type Phase =
  | (typeof PHASES)[number]
  | (typeof DISK_PHASES)[number]
  | (typeof CONTAINER_PHASES)[number];

/** One after the other in a migration. */
const ORDER: readonly Phase[] = [
  'checking',
  'box-checking',
  'seeding',
  'preparing',
  'box-preparing',
  'disks-first-pass',
  'first-round',
  'box-memory',
  'later-round',
  'disks-ready',
  'before-switch',
  'switchover',
  'disks-switch',
  'box-dump',
  'box-restore',
  'after-commit',
  'box-after-commit',
  'box-following',
  'cleanup',
  'box-cleanup',
];

/** Whether a phase comes before another. */
export function isBefore(phase: Phase, other: Phase): boolean {
  return ORDER.indexOf(phase) < ORDER.indexOf(other);
}

export const MODES = ['precopy', 'postcopy', 'hybrid'] as const;
export type Mode = (typeof MODES)[number] | 'cold';

/** Hybrid does with disks what pre-copy does. */
export const DISK_MODES = ['precopy', 'postcopy'] as const satisfies readonly Mode[];
/** Hybrid goes over to what post-copy does. */
export const CONTAINER_MODES = ['precopy', 'postcopy'] as const satisfies readonly Mode[];
/** Hybrid goes over to what post-copy does. */
export const POWER_MODES = ['cold', 'precopy', 'postcopy'] as const satisfies readonly Mode[];

export interface Cell {
  readonly fault: Fault;
  readonly phase: Phase;
  readonly mode: Mode;
}

/** `fault/phase/mode`, by which cells are picked and distinguished. */
export function cellId({ fault, phase, mode }: Cell): string {
  return `${fault}/${phase}/${mode}`;
}

/** The cells of guests without disks, of guests with disks that are copied, of containers, and of lost power. */
export function allCells(): Cell[] {
  const cells = MODES.flatMap((mode) =>
    FAULTS.flatMap((fault) => PHASES.map((phase): Cell => ({ fault, phase, mode }))),
  );
  return [...cells, ...diskCells(), ...containerCells(), ...powerCells()];
}

export function containerCells(): Cell[] {
  return CONTAINER_MODES.flatMap((mode) =>
    CONTAINER_FAULTS.flatMap((fault) =>
      CONTAINER_PHASES.map((phase): Cell => ({ fault, phase, mode })),
    ),
  );
}

export function diskCells(): Cell[] {
  return DISK_MODES.flatMap((mode) =>
    DISK_FAULTS.flatMap((fault) => DISK_PHASES.map((phase): Cell => ({ fault, phase, mode }))),
  );
}

export function powerCells(): Cell[] {
  return POWER_MODES.flatMap((mode) =>
    POWER_FAULTS.flatMap((fault) => PHASES.map((phase): Cell => ({ fault, phase, mode }))),
  );
}

export function losesPower({ fault }: Pick<Cell, 'fault'>): boolean {
  return (POWER_FAULTS as readonly Fault[]).includes(fault);
}

export function hasDisks({ phase }: Pick<Cell, 'phase'>): boolean {
  return (DISK_PHASES as readonly Phase[]).includes(phase);
}

export function isContainer({ phase }: Pick<Cell, 'phase'>): boolean {
  return (CONTAINER_PHASES as readonly Phase[]).includes(phase);
}

/** How long a fault lasts before it clears by itself, ms; 0 for one that is over at once. */
export const LASTS_MS: Readonly<Record<Fault, number>> = {
  'kill-source-mover': 0,
  'kill-destination-mover': 0,
  // An agent comes back as its service manager would bring it back.
  'kill-source-agent': 1000,
  'kill-destination-agent': 1000,
  'kill-source-qemu': 0,
  'kill-destination-qemu': 0,
  'kill-source-runc': 0,
  'kill-source-criu': 0,
  'kill-destination-runc': 0,
  'kill-destination-criu': 0,
  'kill-destination-pager': 0,
  'kill-source-container': 0,
  'kill-destination-container': 0,
  'freeze-source-mover': 20_000,
  'freeze-destination-mover': 20_000,
  'link-reset': 0,
  'link-dark-5s': 5000,
  'link-dark-40s': 40_000,
  'link-slow': 5000,
  'link-one-way': 5000,
  'disk-full': 3000,
  'disk-readonly': 3000,
  'agent-newer': 0,
  'clock-step': 0,
  'storage-full': 3000,
  'storage-error': 3000,
  // The host comes back once its guest was recovered or is known to run.
  'power-source': 0,
  'power-destination': 0,
};

/** In words, for the table. */
export const FAULT_WORDS: Readonly<Record<Fault, string>> = {
  'kill-source-mover': "source's mover killed",
  'kill-destination-mover': "destination's mover killed",
  'kill-source-agent': "source's agent killed, started again after 1 s",
  'kill-destination-agent': "destination's agent killed, started again after 1 s",
  'kill-source-qemu': "source's QEMU killed",
  'kill-destination-qemu': "destination's QEMU killed",
  'kill-source-runc': 'the runc that dumps killed',
  'kill-source-criu': 'the CRIU that dumps killed',
  'kill-destination-runc': 'the runc that restores killed',
  'kill-destination-criu': 'the CRIU that restores killed',
  'kill-destination-pager': 'the pager killed',
  'kill-source-container': "the container's first process killed at the source",
  'kill-destination-container': "the container's first process killed at the destination",
  'freeze-source-mover': "source's mover frozen for 20 s",
  'freeze-destination-mover': "destination's mover frozen for 20 s",
  'link-reset': 'every connection between the hosts reset',
  'link-dark-5s': 'link a black hole for 5 s',
  'link-dark-40s': 'link a black hole for 40 s',
  'link-slow': 'link at 1 Mbit/s for 5 s',
  'link-one-way': 'one direction of the link lost for 5 s',
  'disk-full': "destination's disk full for 3 s",
  'disk-readonly': "destination's state directory read-only for 3 s",
  'agent-newer': "destination's agent upgraded from the previous build to this one",
  'clock-step': "source's clock stepped by an hour",
  'storage-full': "destination's storage full for 3 s",
  'storage-error': "I/O errors on the destination's storage for 3 s",
  'power-source': 'source without power',
  'power-destination': 'destination without power',
};
