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
export type Fault = (typeof FAULTS)[number];

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
export type Phase = (typeof PHASES)[number];

export const MODES = ['precopy', 'postcopy', 'hybrid'] as const;
export type Mode = (typeof MODES)[number];

export interface Cell {
  readonly fault: Fault;
  readonly phase: Phase;
  readonly mode: Mode;
}

/** `fault/phase/mode`, by which cells are picked and told apart. */
export function cellId({ fault, phase, mode }: Cell): string {
  return `${fault}/${phase}/${mode}`;
}

export function allCells(): Cell[] {
  return MODES.flatMap((mode) =>
    FAULTS.flatMap((fault) => PHASES.map((phase): Cell => ({ fault, phase, mode }))),
  );
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
};

/** In words, for the table. */
export const FAULT_WORDS: Readonly<Record<Fault, string>> = {
  'kill-source-mover': "source's mover killed",
  'kill-destination-mover': "destination's mover killed",
  'kill-source-agent': "source's agent killed, started again after 1 s",
  'kill-destination-agent': "destination's agent killed, started again after 1 s",
  'kill-source-qemu': "source's QEMU killed",
  'kill-destination-qemu': "destination's QEMU killed",
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
};
