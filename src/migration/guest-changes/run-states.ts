import type { EndKind } from '../../protocol/guest-end.ts';
import type { Halt, HaltKind } from '../../protocol/guest-halt.ts';

/**
 * Reason why a guest is stopped other than its move: its owner's order, its own action, or a fault. Godwit never
 * resumes such a guest by itself. Pure.
 */

export type { Halt, HaltKind } from '../../protocol/guest-halt.ts';

interface HaltRow {
  /** `passes`: it may end before memory moves; otherwise the move ends at once. */
  readonly beforeMemory: 'passes' | 'ends-move';
  /** True if only an order resumes the guest, so that a pause by Godwit may look the same. */
  readonly mayBeOwnPause: boolean;
  /** Follows the guest's name and `is`. */
  readonly state: string;
  /** Follows the guest's name. */
  readonly words: string;
  readonly hint: string;
}

const SAME = 'Then move it again.';
const NOT_RESUMED = 'The guest stays as it is, and its owner decides.';

const ROWS: Readonly<Record<HaltKind, HaltRow>> = {
  paused: {
    beforeMemory: 'passes',
    mayBeOwnPause: true,
    state: 'paused',
    words: 'was paused by another program or person',
    hint: `${NOT_RESUMED} Resume it (\`cont\` on its monitor) when it is to run. ${SAME}`,
  },
  'io-error': {
    beforeMemory: 'passes',
    mayBeOwnPause: false,
    state: 'stopped by an I/O error',
    words: 'was stopped by an I/O error',
    hint: `${NOT_RESUMED} Repair the disk’s storage and resume the guest. ${SAME}`,
  },
  'shut-down': {
    beforeMemory: 'ends-move',
    mayBeOwnPause: false,
    state: 'shut down',
    words: 'shut itself down',
    hint: 'The guest stays shut down at the source, and its hypervisor keeps its process. Nothing is left to move live.',
  },
  panicked: {
    beforeMemory: 'ends-move',
    mayBeOwnPause: false,
    state: 'stopped by a panic of its kernel',
    words: 'panicked: its kernel crashed',
    hint: `${NOT_RESUMED} Take a dump if you need one, and reset the guest. ${SAME}`,
  },
  suspended: {
    beforeMemory: 'passes',
    mayBeOwnPause: false,
    state: 'suspended to RAM',
    words: 'suspended itself to RAM',
    hint: `Wake it up (\`system_wakeup\` on its monitor). ${SAME}`,
  },
  debug: {
    beforeMemory: 'passes',
    mayBeOwnPause: false,
    state: 'stopped by a debugger',
    words: 'was stopped by a debugger',
    hint: `${NOT_RESUMED} Detach the debugger. ${SAME}`,
  },
  watchdog: {
    beforeMemory: 'ends-move',
    mayBeOwnPause: false,
    state: 'stopped by its watchdog',
    words: 'was stopped by its watchdog',
    hint: `${NOT_RESUMED} Look at the guest, and resume or reset it. ${SAME}`,
  },
  'internal-error': {
    beforeMemory: 'ends-move',
    mayBeOwnPause: false,
    state: 'stopped by an internal error of its hypervisor',
    words: 'was stopped by an internal error of its hypervisor',
    hint: `${NOT_RESUMED} Look at the hypervisor’s log, and reset the guest.`,
  },
};

/** `was stopped by an I/O error of disk0 (no space left)`; follows the guest's name. */
export function haltWords({ kind, what }: Halt): string {
  return what === undefined ? ROWS[kind].words : `${ROWS[kind].words} of ${what}`;
}

/** `stopped by an I/O error of disk0 (no space left)`; follows the guest's name and `is`. */
export function haltedWords({ kind, what }: Halt): string {
  return what === undefined ? ROWS[kind].state : `${ROWS[kind].state} of ${what}`;
}

export function haltHint({ kind }: Halt): string {
  return ROWS[kind].hint;
}

export function endsMoveAtOnce({ kind }: Halt): boolean {
  return ROWS[kind].beforeMemory === 'ends-move';
}

/** True if Godwit's stop for the switchover looks the same at the hypervisor. */
export function mayBeOwnPause({ kind }: Halt): boolean {
  return ROWS[kind].mayBeOwnPause;
}

const END_WORDS: Readonly<Record<EndKind, string>> = {
  'shut-down': 'shut itself down, and its hypervisor ended with it',
  panicked: 'panicked, and its hypervisor ended with it',
  ordered: 'was ended: its hypervisor was ordered to quit',
  signalled: 'was ended: its hypervisor was stopped by a signal',
  crashed: 'was ended: its hypervisor crashed',
};

export function endWords(kind: EndKind): string {
  return END_WORDS[kind];
}
