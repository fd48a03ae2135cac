/** Which cells make sense, and what must hold at the end of each. Pure. */
import {
  allCells,
  hasDisks,
  isBefore,
  isContainer,
  losesPower,
  type Cell,
  type Fault,
  type Mode,
  type Phase,
} from './cell.ts';
import { expectationOf as ofContainer, whyNotTried as whyNoContainer } from './containers/table.ts';
import { whyNotTried } from './disks/table.ts';
import type { Expectation } from './expectation.ts';
import { expectationOf as ofPower, whyNotTried as whyNoPower } from './power/table.ts';

export type Row =
  | { readonly run: true; readonly cell: Cell; readonly expect: Expectation }
  | { readonly run: false; readonly cell: Cell; readonly why: string };

/** A whole switchover, with a takeover in it, on a machine that is busy. */
const SWITCH_MS = 6000;
/** After the fault has cleared: what is left of a small guest's memory at the cells' rates, and the end. */
const END_MS = 30_000;

export function row(cell: Cell): Row {
  const why = whyNot(cell);
  if (why !== undefined) return { run: false, cell, why };
  return { run: true, cell, expect: expectationOf(cell) };
}

function expectationOf(cell: Cell): Expectation {
  if (isContainer(cell)) return ofContainer(cell);
  return losesPower(cell) ? ofPower(cell) : expectation(cell);
}

function whyNot(cell: Cell): string | undefined {
  if (isContainer(cell)) return whyNoContainer(cell);
  if (losesPower(cell)) return whyNoPower(cell);
  return hasDisks(cell) ? whyNotTried(cell) : senseless(cell);
}

export function rows(): Row[] {
  return allCells().map(row);
}

const handedOver = (phase: Phase): boolean => !isBefore(phase, 'after-commit');
const preparesStill = (phase: Phase): boolean => isBefore(phase, 'disks-first-pass');
const isInside = (phase: Phase): boolean => phase === 'switchover' || phase === 'disks-switch';

/** Why a cell is not run; undefined when it makes sense. */
function senseless({ fault, phase, mode }: Cell): string | undefined {
  if (phase === 'later-round' && mode === 'postcopy') {
    return 'post-copy leaves in the first round';
  }
  if (phase === 'first-round' && mode === 'postcopy') {
    return 'post-copy begins at the first look at the stream: the moment is the one before the switch';
  }
  if (fault === 'kill-destination-qemu' && phase === 'checking') return 'there is none yet';
  return (
    tooShort(fault, phase, mode) ?? sameAs(fault, phase, mode) ?? notAffected(fault, phase, mode)
  );
}

/** Faults that last for long take few cells, chosen where they differ: the whole matrix has one hour. */
const LONG: Partial<Record<Fault, Partial<Record<Mode, readonly Phase[]>>>> = {
  'freeze-source-mover': {
    precopy: ['checking', 'first-round', 'switchover', 'after-commit'],
    postcopy: ['before-switch', 'after-commit'],
    hybrid: ['switchover'],
  },
  'freeze-destination-mover': {
    precopy: ['preparing', 'later-round', 'switchover', 'after-commit'],
    postcopy: ['before-switch', 'after-commit'],
    hybrid: ['switchover'],
  },
  'link-dark-40s': {
    precopy: ['preparing', 'later-round', 'switchover'],
    postcopy: ['after-commit'],
    hybrid: ['switchover'],
  },
};

function tooShort(fault: Fault, phase: Phase, mode: Mode): string | undefined {
  const chosen = LONG[fault];
  if (chosen === undefined || chosen[mode]?.includes(phase) === true) return undefined;
  return 'it lasts too long to be tried everywhere: tried where it differs';
}

/** Before memory flows the three modes do the very same. */
function sameAs(fault: Fault, phase: Phase, mode: Mode): string | undefined {
  if (mode === 'precopy' || !preparesStill(phase) || fault.startsWith('kill')) return undefined;
  return 'as in pre-copy: nothing differs before memory flows';
}

function notAffected(fault: Fault, phase: Phase, mode: Mode): string | undefined {
  if (fault === 'agent-newer' && mode !== 'precopy' && phase !== 'after-commit') {
    return 'as in pre-copy: the mover does not change, and the agent has no part in the modes';
  }
  if (fault === 'clock-step' && mode === 'hybrid') return 'as in pre-copy and in post-copy';
  if (fault.startsWith('disk') && mode === 'hybrid') return 'as in pre-copy and in post-copy';
  if (fault === 'disk-readonly' && phase === 'cleanup') {
    return 'what is left to do there removes files, which it waits for: see disk-full';
  }
  if (fault === 'kill-source-qemu' && phase === 'cleanup') {
    return 'Godwit itself ends it there';
  }
  return undefined;
}

const GOES_ON = { outcomes: ['done'], guest: 'lives' } as const;
const GOES_BACK = { outcomes: ['failed'], guest: 'lives' } as const;
const EITHER = { outcomes: ['done', 'failed'], guest: 'lives' } as const;

function expectation({ fault, phase, mode }: Cell): Expectation {
  const darkMs = isBefore(phase, 'before-switch') ? SWITCH_MS : undefined;
  const common = { darkMs, reportedMs: END_MS };
  switch (fault) {
    case 'kill-source-qemu':
      return sourceDied(phase, mode);
    case 'kill-destination-qemu':
      return destinationDied(phase);
    case 'kill-source-mover':
    case 'kill-source-agent':
    case 'kill-destination-agent':
    case 'link-slow':
    case 'clock-step':
    case 'agent-newer':
      // A copy that loses its way while it is ended, the guest paused, is not waited for.
      if (phase === 'disks-switch' || (fault !== 'kill-source-mover' && preparesStill(phase))) {
        return { ...common, ...EITHER, words: 'done, or failed with the guest at the source' };
      }
      return { ...common, ...GOES_ON, words: 'the migration goes on to its end' };
    case 'kill-destination-mover':
    case 'freeze-source-mover':
    case 'freeze-destination-mover':
    case 'link-reset':
    case 'link-dark-5s':
    case 'link-dark-40s':
    case 'link-one-way':
    case 'disk-full':
    case 'disk-readonly':
      if (handedOver(phase)) return { ...common, ...GOES_ON, words: 'forward to the end' };
      return { ...common, ...EITHER, words: 'done, or failed with the guest at the source' };
    case 'storage-full':
    case 'storage-error':
      // What could not be written while there were errors can be written afterwards.
      if (fault === 'storage-error' || !isBefore(phase, 'disks-ready')) {
        return { ...common, ...EITHER, words: 'done, or failed with the guest at the source' };
      }
      return { ...common, ...GOES_BACK, words: 'failed, and the guest has run on at the source' };
    default:
      return ofContainer({ fault, phase, mode });
  }
}

/** Its QEMU is the guest until everything has been handed over; in post-copy until the last page has left. */
function sourceDied(phase: Phase, mode: Mode): Expectation {
  const common = { darkMs: undefined, reportedMs: 10_000 };
  if (!handedOver(phase)) {
    const inside = isInside(phase) || (phase === 'before-switch' && mode !== 'hybrid');
    return {
      ...common,
      // Killed a moment later, it may have handed everything over already.
      outcomes: inside ? ['failed', 'lost', 'done'] : ['failed', 'lost'],
      guest: inside ? 'may-die' : 'dies',
      words: 'the guest has died: Godwit says so within 10 s, the destination is clean',
    };
  }
  if (mode === 'precopy') {
    return {
      ...common,
      outcomes: ['done'],
      guest: 'lives',
      words: 'it had handed everything over',
    };
  }
  return {
    ...common,
    outcomes: ['lost', 'done'],
    guest: 'may-die',
    words: 'pages were still there: lost and reported within 10 s; done if the last had left',
  };
}

function destinationDied(phase: Phase): Expectation {
  const common = { reportedMs: 20_000 };
  if (!handedOver(phase)) {
    const inside = isInside(phase) || phase === 'before-switch';
    return {
      ...common,
      outcomes: inside ? ['failed', 'lost'] : ['failed'],
      guest: inside ? 'may-die' : 'lives',
      darkMs: inside ? undefined : 0,
      words: inside
        ? 'failed with the guest at the source; in post-copy lost and reported'
        : 'failed, and the guest has run at the source throughout',
    };
  }
  const cleanup = phase === 'cleanup';
  return {
    ...common,
    outcomes: cleanup ? ['done', 'lost'] : ['lost'],
    guest: 'dies',
    darkMs: undefined,
    words: 'it is the guest by now: lost and reported within 20 s',
  };
}
