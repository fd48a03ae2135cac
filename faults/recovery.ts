/** When a migration was on its way again after a fault: forward, or back to the guest at the source. Pure. */
import { isBefore, type Cell } from './cell.ts';
import type { CellObservation } from './judge.ts';
import { runsAgainAt } from './timeline.ts';

/** Moments at which something went on, ms since 1970, each list in order. */
export interface Signs {
  readonly sourceJournal: readonly number[];
  readonly destinationJournal: readonly number[];
  /** The source's QEMU had sent more than before. */
  readonly traffic: readonly number[];
  /** The copies of its disks at the destination had grown. */
  readonly disks?: readonly number[];
}

/**
 * From the end of the fault until a copy of the guest runs and the migration goes on (or has ended), ms. Undefined
 * where no guest is left that could go on.
 */
export function recoveryMs(cell: Cell, seen: CellObservation, signs: Signs): number | undefined {
  const { clearedAtMs, endedAtMs, runningOn, spans } = seen;
  if (runningOn.length === 0 || endedAtMs === undefined) return undefined;
  const runs = runsAgainAt(spans, clearedAtMs);
  if (runs === undefined) return undefined;
  const moved = reporting(cell, signs).flatMap((times) => {
    const first = times.find((at) => at >= clearedAtMs);
    return first === undefined ? [] : [first];
  });
  const forward = Math.min(endedAtMs, ...moved);
  return Math.max(0, Math.round(Math.max(runs, forward) - clearedAtMs));
}

/** What shows that this fault has been got over: who was hit must be heard of, not somebody else. */
function reporting({ fault, phase }: Cell, signs: Signs): (readonly number[])[] {
  const { sourceJournal, destinationJournal, traffic, disks = [] } = signs;
  if (fault.endsWith('source-mover')) return [sourceJournal];
  if (fault.endsWith('destination-mover')) return [destinationJournal];
  // The stamps of a journal whose clock was stepped say nothing.
  if (fault === 'clock-step') return [traffic];
  const flowing = !isBefore(phase, 'first-round') && phase !== 'cleanup';
  if (fault.startsWith('link') && flowing) return [traffic];
  return [sourceJournal, destinationJournal, traffic, disks];
}

export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((left, right) => left - right);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}
