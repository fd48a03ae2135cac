import { formatDuration, formatRate } from '../../protocol/quantity.ts';

/** Whether a guest that is looked at again and again writes little just now. Pure. */

/** With fewer looks nobody knows how little the guest can write. */
const FEW_LOOKS = 5;
/** Of what it writes otherwise, the median of the looks before. */
const QUIET_SHARE = 0.5;
/** What any link takes, bytes/s. */
const NEXT_TO_NOTHING = 1024 ** 2;
/** Looks that are kept. */
export const MOST_LOOKS = 1000;

/** `rates`: what it wrote at each look, bytes/s, the newest last. The reason in words; undefined where it is not quiet. */
export function whyQuiet(rates: readonly number[]): string | undefined {
  const newest = rates.at(-1);
  if (newest === undefined) return undefined;
  if (newest <= NEXT_TO_NOTHING) return `the guest is quiet: it writes ${formatRate(newest)}`;
  const before = rates.slice(0, -1);
  if (before.length < FEW_LOOKS) return undefined;
  const median = before.toSorted((one, other) => one - other)[Math.floor(before.length / 2)] ?? 0;
  if (newest > median * QUIET_SHARE) return undefined;
  return `the guest is quiet: it writes ${formatRate(newest)}, and ${formatRate(median)} otherwise`;
}

/** The bound is over. */
export function neverQuiet(withinMs: number, rates: readonly number[]): string {
  const waited = `no quiet moment within ${formatDuration(withinMs)}`;
  if (rates.length === 0) return `${waited}: what the guest writes could not be measured`;
  const [least, most] = [Math.min(...rates), Math.max(...rates)];
  return `${waited}: the guest wrote ${formatRate(least)} to ${formatRate(most)}`;
}
