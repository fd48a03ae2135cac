/** Which faults are tried on a container, at which moments, and what must hold at the end of each. Pure. */
import {
  CONTAINER_PHASES,
  isBefore,
  type Cell,
  type Fault,
  type Mode,
  type Phase,
} from '../cell.ts';
import type { Expectation } from '../expectation.ts';

/** What lasts long, or differs little, is tried where it shows most. */
type FaultPhases = Partial<Record<Fault, readonly Phase[]>>;
const BY_PRECOPY: FaultPhases = {
  'kill-source-mover': CONTAINER_PHASES.filter((phase) => phase !== 'box-following'),
  'kill-destination-mover': CONTAINER_PHASES.filter((phase) => phase !== 'box-following'),
  'kill-source-agent': ['box-memory', 'box-dump', 'box-after-commit'],
  'kill-destination-agent': ['box-memory', 'box-restore', 'box-after-commit'],
  'kill-source-criu': ['box-dump'],
  'kill-source-runc': ['box-dump'],
  'kill-destination-criu': ['box-restore'],
  'kill-destination-runc': ['box-restore'],
  'kill-source-container': [
    'box-checking',
    'box-preparing',
    'box-memory',
    'box-dump',
    'box-restore',
  ],
  'kill-destination-container': ['box-after-commit', 'box-cleanup'],
  'link-reset': ['box-memory', 'box-dump', 'box-restore', 'box-after-commit'],
  'link-dark-5s': ['box-preparing', 'box-memory', 'box-dump', 'box-restore', 'box-after-commit'],
  'storage-full': ['box-preparing', 'box-memory', 'box-dump', 'box-restore', 'box-after-commit'],
};
/** Until the container is dumped it does what pre-copy does. */
const BY_POSTCOPY: FaultPhases = {
  'kill-source-mover': ['box-dump', 'box-restore', 'box-following'],
  'kill-destination-mover': ['box-restore', 'box-following'],
  'kill-source-agent': ['box-following'],
  'kill-destination-agent': ['box-following'],
  'kill-destination-criu': ['box-restore'],
  'kill-destination-pager': ['box-restore', 'box-following'],
  'kill-destination-container': ['box-following'],
  'link-reset': ['box-restore', 'box-following'],
  'link-dark-5s': ['box-restore', 'box-following'],
  'storage-full': ['box-restore', 'box-following'],
};
const TRIED: Readonly<Record<Mode, FaultPhases>> = {
  precopy: BY_PRECOPY,
  postcopy: BY_POSTCOPY,
  hybrid: {},
  cold: {},
};

/** Why a cell of a container is not run; undefined where it is. */
export function whyNotTried({ fault, phase, mode }: Cell): string | undefined {
  if (TRIED[mode][fault]?.includes(phase) === true) return undefined;
  if (mode === 'precopy' && (phase === 'box-following' || fault === 'kill-destination-pager'))
    return 'no memory follows in pre-copy';
  if (mode === 'postcopy' && isBefore(phase, 'box-dump')) return 'as in pre-copy';
  if (/-(criu|runc|pager)$/.test(fault)) return 'there is none at that moment';
  if (fault === 'kill-destination-container') return 'it is none before the commit';
  if (fault === 'kill-source-container') return 'Godwit itself ends it there';
  return 'tried where it differs';
}

const isInside = (phase: Phase): boolean => phase === 'box-dump' || phase === 'box-restore';

export function expectationOf({ fault, phase }: Cell): Expectation {
  const handedOver = !isBefore(phase, 'box-after-commit');
  const common = { darkMs: undefined, reportedMs: 60_000 };
  const either = {
    ...common,
    outcomes: ['done', 'failed'],
    guest: 'lives',
    words: 'done, or failed with the container at the source',
  } as const;
  switch (fault) {
    case 'kill-source-container':
      return isInside(phase)
        ? {
            ...common,
            outcomes: ['failed', 'lost', 'done'],
            guest: 'may-die',
            // Frozen, it takes the signal once it is thawed; once all is handed over it is not needed any more.
            words: 'done where its dump was whole; else it has died, and Godwit says so',
          }
        : {
            ...common,
            outcomes: ['failed', 'lost'],
            guest: 'dies',
            words: 'the container has died: Godwit says so, the destination is clean',
          };
    case 'kill-destination-container':
      return {
        ...common,
        outcomes: phase === 'box-cleanup' ? ['done', 'lost'] : ['lost'],
        guest: 'dies',
        words: 'it is the container by now: lost and reported',
      };
    case 'kill-source-criu':
      return {
        ...common,
        outcomes: ['failed', 'lost'],
        guest: 'may-die',
        words: 'failed; CRIU’s code is in the container’s processes then, and may take it along',
      };
    case 'kill-destination-criu':
      // Its last moments come after all is restored: a kill in them has no effect.
      return { ...either, words: 'failed with the container at the source, or all was restored' };
    case 'kill-destination-runc':
      return {
        ...common,
        outcomes: ['failed'],
        guest: 'lives',
        words: 'failed, and the container runs on at the source',
      };
    default:
      if (!handedOver) return either;
      return { ...either, outcomes: ['done'], words: 'forward to the end' };
  }
}
