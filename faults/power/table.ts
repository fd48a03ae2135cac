/** When a host of a migration loses its power, and what must hold once it is back. Pure. */
import { isBefore, type Cell, type Mode, type Phase } from '../cell.ts';
import type { Expectation } from '../expectation.ts';

/** From the host's return until its migration has ended. */
const END_MS = 60_000;

const NOT_IN: Readonly<Partial<Record<Mode, Partial<Record<Phase, string>>>>> = {
  cold: {
    'first-round': 'a cold move sends no memory',
    'later-round': 'a cold move sends no memory',
  },
  postcopy: {
    'first-round': 'post-copy begins at the first look at the stream',
    'later-round': 'post-copy leaves in the first round',
  },
};

/** Why a cell is not run; undefined when it makes sense. */
export function whyNotTried({ mode, phase }: Cell): string | undefined {
  return NOT_IN[mode]?.[phase];
}

const LIVES = { guest: 'lives', darkMs: undefined, reportedMs: END_MS } as const;
const MAY_DIE = { guest: 'may-die', darkMs: undefined, reportedMs: END_MS } as const;

export function expectationOf(cell: Cell): Expectation {
  return cell.fault === 'power-source' ? sourceOff(cell) : destinationOff(cell);
}

/** Its guest is recovered elsewhere, or runs at the destination. */
function sourceOff({ mode, phase }: Cell): Expectation {
  if (mode === 'postcopy' && !isBefore(phase, 'before-switch')) {
    return {
      ...MAY_DIE,
      outcomes: ['failed', 'lost', 'done'],
      words:
        'one copy at most: the destination may have run it, and lacks pages that the source took along',
    };
  }
  if (isBefore(phase, 'switchover')) {
    return {
      ...LIVES,
      outcomes: ['failed', 'lost'],
      words: 'recovered elsewhere, and the source that returns starts nothing',
    };
  }
  if (isBefore(phase, 'after-commit')) {
    return {
      ...LIVES,
      outcomes: ['failed', 'lost', 'done'],
      words: 'recovered elsewhere, or run at the destination on the proof that the source is off',
    };
  }
  return { ...LIVES, outcomes: ['done'], words: 'runs on at the destination; no host recovers it' };
}

function destinationOff({ mode, phase }: Cell): Expectation {
  if (!isBefore(phase, 'after-commit')) {
    return {
      ...MAY_DIE,
      guest: 'dies',
      outcomes: ['lost', 'done', 'held'],
      words:
        'it was the guest by then: lost, done if the source had ended before, or held if the power loss took the record that it ran',
    };
  }
  const isLate = !isBefore(phase, 'before-switch');
  if (mode === 'postcopy' && isLate) {
    return {
      ...MAY_DIE,
      outcomes: ['failed', 'lost', 'held'],
      words:
        'failed with the guest at the source, lost, or held since the destination may have run it and written to its disks',
    };
  }
  return {
    ...LIVES,
    // A destination that comes back armed cannot tell whether the commit had reached it: a power loss takes the records of the
    // commit and of the guest's start, which are not synced. The guest may have written to its disks since, and the source's
    // memory is older than they are.
    outcomes: isLate
      ? ['failed', 'lost', 'done', 'held']
      : isBefore(phase, 'first-round')
        ? ['failed', 'done']
        : ['failed'],
    guest: isLate ? 'may-die' : 'lives',
    words: isLate
      ? 'failed with the guest at the source; held if the commit may have arrived, and the guest have written to its disks, before'
      : 'the guest stays at the source, or moves once its destination is back; no host recovers it',
  };
}
