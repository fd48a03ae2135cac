import type { Phase, Progress } from '../protocol/public/migration.ts';

/**
 * Progress of a migration as one number that never falls. The remaining memory may grow, so each phase has a fixed
 * share of the whole.
 */
export interface PercentState {
  /** 0..100; 100 only once it is done. */
  readonly percent: number;
  /** `back`: it is being undone, so the percentage has no meaning. */
  readonly heads: 'on' | 'back' | 'ended';
}

export const NOTHING: PercentState = { percent: 0, heads: 'on' };

const PARTS: Readonly<Record<Phase, readonly [from: number, to: number]>> = {
  planned: [0, 1],
  checking: [1, 3],
  seeding: [3, 6],
  preparing: [6, 9],
  disks: [9, 40],
  memory: [40, 90],
  switchover: [90, 93],
  handover: [93, 94],
  draining: [94, 97],
  verifying: [97, 98],
  cleanup: [98, 99],
  undoing: [0, 0],
  done: [100, 100],
  rehearsed: [0, 0],
  failed: [0, 0],
  cancelled: [0, 0],
  held: [0, 0],
  lost: [0, 0],
};
/** Without disk copies, memory starts at the disks' place. */
const MEMORY_ALONE_FROM = PARTS.disks[0];

type ProgressSample = Pick<Progress, 'phase' | 'percent' | 'sample' | 'disks' | 'etaMs'>;

export function percentAfter(before: PercentState, now: ProgressSample): PercentState {
  switch (now.phase) {
    case 'done':
      return { percent: 100, heads: 'ended' };
    case 'rehearsed':
    case 'failed':
    case 'cancelled':
    case 'held':
    case 'lost':
      return { percent: before.percent, heads: 'ended' };
    case 'undoing':
      return { percent: before.percent, heads: 'back' };
    default: {
      const [first, to] = PARTS[now.phase];
      const hasDisks = (now.disks?.length ?? 0) > 0;
      const from = now.phase === 'memory' && !hasDisks ? MEMORY_ALONE_FROM : first;
      const reached = from + (to - from) * partOf(now);
      const percent = Math.max(before.percent, Math.min(99, reached));
      return { percent, heads: 'on' };
    }
  }
}

/** Raises the percentage to a value that was shown elsewhere. Pure. */
export function atLeast(shown: PercentState, percent: number): PercentState {
  return percent > shown.percent && percent <= 100 ? { ...shown, percent } : shown;
}

/** Finished share of the current phase, 0..1, estimated. */
function partOf({ phase, percent, sample, etaMs }: ProgressSample): number {
  if (phase === 'disks') return bounded(percent / 100);
  if (phase !== 'memory' && phase !== 'draining') return 0;
  const total = sample?.totalBytes ?? 0;
  // The first round covers all memory; later rounds are measured by the rest.
  const passed =
    sample === undefined || total === 0 ? percent / 100 : 1 - sample.remainingBytes / total;
  const first = sample === undefined || sample.round <= 1;
  if (first || etaMs === undefined) return bounded(passed * (first ? 0.8 : 1));
  // Uses the time that memory has taken; earlier waits do not count.
  return bounded(Math.max(sample.totalMs / Math.max(1, sample.totalMs + etaMs), passed * 0.8));
}

function bounded(share: number): number {
  return Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0;
}
