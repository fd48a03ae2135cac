/** How a cell's migration is paced, so that its moment lasts long enough to be hit. Pure. */
import type { Cell } from './cell.ts';

export interface Pace {
  /** For the memory stream, bytes/s. */
  readonly maxBandwidth: number;
  /** How fast the guest rewrites its memory until the fault has struck, bytes/s. */
  readonly dirtyBytesPerSecond: number;
  /** The fault strikes by chance so much later, ms: not always at the very first instant. */
  readonly jitterMs: number;
}

const MIB = 1024 ** 2;
const FAST = 96 * MIB;
const SLOW = 24 * MIB;
const THIN = 12 * MIB;
/** More than the slow stream takes: it does not converge. */
const RESTLESS = 40 * MIB;
const BEFORE_SWITCH = { cold: 0, precopy: 5 * MIB, postcopy: 0, hybrid: RESTLESS } as const;

export function paceOf({ fault, phase, mode }: Cell): Pace {
  switch (phase) {
    case 'checking':
      return { maxBandwidth: FAST, dirtyBytesPerSecond: 0, jitterMs: 150 };
    case 'preparing':
      return { maxBandwidth: FAST, dirtyBytesPerSecond: 0, jitterMs: 150 };
    case 'first-round':
      return { maxBandwidth: SLOW, dirtyBytesPerSecond: 0, jitterMs: 500 };
    case 'later-round':
      // As before the switch: no round is to be the last, however little an emulated guest comes to dirty.
      return {
        maxBandwidth: mode === 'precopy' ? THIN : SLOW,
        dirtyBytesPerSecond: RESTLESS,
        jitterMs: 200,
      };
    case 'before-switch':
      // In pre-copy the second round is the last, or the one before: it takes half a second. In hybrid pre-copy must not
      // win, however little an emulated guest comes to dirty on a busy machine.
      return {
        maxBandwidth: mode === 'hybrid' ? THIN : SLOW,
        dirtyBytesPerSecond: BEFORE_SWITCH[mode],
        jitterMs: 0,
      };
    case 'switchover':
      return { maxBandwidth: FAST, dirtyBytesPerSecond: 0, jitterMs: 10 };
    case 'after-commit':
      // What is left of post-copy's memory shall last longer than the fault takes to strike.
      return mode === 'precopy'
        ? { maxBandwidth: FAST, dirtyBytesPerSecond: 0, jitterMs: 5 }
        : {
            // In hybrid only what an emulated guest comes to dirty in one round is left: little on a busy machine.
            maxBandwidth: mode === 'hybrid' ? THIN : SLOW,
            dirtyBytesPerSecond: mode === 'hybrid' ? RESTLESS : 0,
            jitterMs: mode === 'hybrid' ? 40 : 100,
          };
    case 'seeding':
    case 'disks-first-pass':
      // What is sent of each kind of disk takes a second. To fill a storage takes about as long on a busy machine.
      return {
        maxBandwidth: fault === 'storage-full' ? THIN / 2 : SLOW,
        dirtyBytesPerSecond: 0,
        jitterMs: 400,
      };
    case 'disks-ready':
      // In post-copy, what strikes later strikes in the switch.
      return {
        maxBandwidth: SLOW,
        dirtyBytesPerSecond: 0,
        jitterMs: mode === 'postcopy' ? 20 : 200,
      };
    case 'disks-switch':
      return { maxBandwidth: FAST, dirtyBytesPerSecond: 0, jitterMs: 20 };
    case 'box-memory':
      // The rounds of what it holds take seconds; nothing that it writes meanwhile is to make them more.
      return { maxBandwidth: THIN, dirtyBytesPerSecond: 0, jitterMs: 500 };
    case 'box-following':
      // What is left of its memory shall take longer than the fault to strike.
      return { maxBandwidth: THIN / 4, dirtyBytesPerSecond: 0, jitterMs: 500 };
    case 'box-dump':
    case 'box-restore':
      return { maxBandwidth: FAST, dirtyBytesPerSecond: MIB, jitterMs: jitterOf(fault) };
    case 'box-checking':
    case 'box-preparing':
      return { maxBandwidth: FAST, dirtyBytesPerSecond: MIB, jitterMs: 150 };
    case 'box-after-commit':
    case 'box-cleanup':
    case 'cleanup':
      return { maxBandwidth: FAST, dirtyBytesPerSecond: 0, jitterMs: 20 };
  }
}

/** The CRIU that restores may be there for no longer than 30 ms. */
const jitterOf = (fault: Cell['fault']): number => (fault === 'kill-destination-criu' ? 0 : 30);
