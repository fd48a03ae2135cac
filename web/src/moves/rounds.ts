/** Facts about the rounds of a migration. Pure. */
import type { Report } from '../../../src/protocol/public/migration.ts';

/** Bytes sent in each round; null if the end of the round before it was not reported: the figure is not known then. */
export function sentInRounds(
  rounds: readonly Pick<Report['roundList'][number], 'round' | 'transferredBytes'>[],
): (number | null)[] {
  return rounds.map(({ round, transferredBytes }, at) => {
    const before = rounds[at - 1];
    if (before === undefined) return round === 1 ? transferredBytes : null;
    if (before.round !== round - 1) return null;
    return Math.max(0, transferredBytes - before.transferredBytes);
  });
}
