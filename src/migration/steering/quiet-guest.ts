import type { GuestRates, LoadHour } from '../../protocol/public/hosts/guest-load.ts';
import { formatDuration, formatRate } from '../../protocol/quantity.ts';
import { seenEnough } from '../load-history.ts';

/** Decides from repeated samples whether a guest writes or works little now. Pure. */

const FEW_LOOKS = 5;
/** Share of the median of the earlier samples. */
const QUIET_SHARE = 0.5;
/** Rate that any link carries, bytes/s. */
const NEXT_TO_NOTHING = 1024 ** 2;
/** Processors of an idle guest. */
const NEXT_TO_IDLE = 0.05;
const FEW_HOURS = 6;
/** Hours that show busy and quiet times. */
const MANY_HOURS = 24;
/** Quantiles of those hours: the quietest quarter, and the busiest tenth. */
const [LOW, BUSY] = [0.25, 0.9];
export const MAX_LOOKS = 1000;

/**
 * Reason in words; undefined if it is not quiet. `rates`: sampled writes, bytes/s, newest last. `hours`: history kept
 * by its host.
 */
export function whyQuiet(
  rates: readonly number[],
  hours: readonly LoadHour[] = [],
): string | undefined {
  const newest = rates.at(-1);
  if (newest === undefined) return undefined;
  if (newest <= NEXT_TO_NOTHING) return `the guest is quiet: it writes ${formatRate(newest)}`;
  const kept = hours.flatMap(({ dirtyBytesPerS }) => dirtyBytesPerS ?? []);
  // A guest that is quiet most of the time never drops to half of its median.
  const [low, busy] = [quantileOf(kept, LOW), quantileOf(kept, BUSY)];
  if (kept.length >= MANY_HOURS && newest <= Math.min(low, busy * QUIET_SHARE))
    return `the guest is quiet: it writes ${formatRate(newest)}, as in its quietest hours, and ${formatRate(busy)} when it is busy`;
  const looked = rates.slice(0, -1);
  // The low level shows over days as well as within minutes.
  const before = [...kept, ...looked];
  if (before.length < FEW_LOOKS) return undefined;
  const median = medianOf(before);
  if (newest > median * QUIET_SHARE) return undefined;
  return `the guest is quiet: it writes ${formatRate(newest)}, and ${formatRate(median)} otherwise`;
}

/** Same for a guest with unmeasurable memory writes: by processor use and storage writes. */
export function whyIdle(now: GuestRates, hours: readonly LoadHour[]): string | undefined {
  const seen = seenEnough(hours);
  const knows = seen.length >= FEW_HOURS;
  const half = (rates: readonly number[], least: number): number =>
    Math.max(least, knows ? medianOf(rates) * QUIET_SHARE : 0);
  const mostCores = half(
    seen.map(({ cores }) => cores),
    NEXT_TO_IDLE,
  );
  const mostWritten = half(
    seen.map(({ writtenBytesPerS = 0 }) => writtenBytesPerS),
    NEXT_TO_NOTHING,
  );
  // Unknown storage writes may be its only work.
  const { cores, writtenBytesPerS = Infinity } = now;
  if (cores > mostCores || writtenBytesPerS > mostWritten) return undefined;
  const otherwise = knows
    ? `, and ${coresText(medianOf(seen.map(({ cores }) => cores)))} in the hours before`
    : '';
  return `the guest is quiet by its load: it uses ${coresText(now.cores)} processors${otherwise}`;
}

export function neverQuiet(withinMs: number, rates: readonly number[]): string {
  const waited = `no quiet moment within ${formatDuration(withinMs)}`;
  if (rates.length === 0) return `${waited}: what the guest writes could not be measured`;
  const [least, most] = [Math.min(...rates), Math.max(...rates)];
  return `${waited}: the guest wrote ${formatRate(least)} to ${formatRate(most)}`;
}

function medianOf(all: readonly number[]): number {
  return quantileOf(all, 0.5);
}

function quantileOf(all: readonly number[], share: number): number {
  return all.toSorted((one, other) => one - other)[Math.floor(all.length * share)] ?? 0;
}

const coresText = (cores: number): string => cores.toFixed(2);
