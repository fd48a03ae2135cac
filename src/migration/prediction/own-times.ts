import type { Phase, Report } from '../../protocol/public/migration.ts';

/** What a site's own migrations say of the times that hang on neither memory nor link. Pure. */

/** Fewer say nothing, and what is older is not looked at. */
const LEAST = 3;
export const MOST_LOOKED_AT = 9;
/** Checks, both movers, the destination's hypervisor, the switch, hooks, and what is tidied up. */
const AROUND: readonly Phase[] = [
  'checking',
  'preparing',
  'switchover',
  'handover',
  'verifying',
  'cleanup',
];

/** The median of what these migrations (newest first) took around their memory, ms; undefined where too few show it. */
export function aroundMs(
  reports: Iterable<Pick<Report, 'outcome' | 'finished' | 'phases'>>,
): number | undefined {
  const took: number[] = [];
  for (const { outcome, finished, phases } of reports) {
    if (outcome !== 'done' || finished === undefined) continue;
    const around = phases.filter(({ phase }) => AROUND.includes(phase));
    took.push(around.reduce((sum, { ms }) => sum + ms, 0));
    if (took.length === MOST_LOOKED_AT) break;
  }
  if (took.length < LEAST) return undefined;
  const sorted = took.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)];
}
