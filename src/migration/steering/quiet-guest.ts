import type { GuestRates, LoadHour } from '../../protocol/public/hosts/guest-load.ts';
import { formatDuration, formatRate } from '../../protocol/quantity.ts';
import { seenEnough } from '../load-history.ts';

/** Whether a guest that is looked at again and again writes little just now, or does little. Pure. */

/** With fewer looks nobody knows how little the guest can write. */
const FEW_LOOKS = 5;
/** Of what it writes otherwise, the median of the looks before. */
const QUIET_SHARE = 0.5;
/** What any link takes, bytes/s. */
const NEXT_TO_NOTHING = 1024 ** 2;
/** Of a processor: what a guest takes that does nothing. */
const NEXT_TO_IDLE = 0.05;
/** With fewer hours nobody knows how little the guest can do. */
const FEW_HOURS = 6;
/** A day of them shows what a guest writes when it is busy, and when it is not. */
const MANY_HOURS = 24;
/** Of those hours: the quietest quarter, and the busiest tenth. */
const [LOW, BUSY] = [0.25, 0.9];
/** Looks that are kept. */
export const MAX_LOOKS = 1000;

/**
 * `rates`: what it wrote at each look, bytes/s, the newest last. `hours`: what its host has kept of it. The reason in
 * words; undefined where it is not quiet.
 */
export function whyQuiet(
  rates: readonly number[],
  hours: readonly LoadHour[] = [],
): string | undefined {
  const newest = rates.at(-1);
  if (newest === undefined) return undefined;
  if (newest <= NEXT_TO_NOTHING) return `the guest is quiet: it writes ${formatRate(newest)}`;
  const kept = hours.flatMap(({ dirtyBytesPerS }) => dirtyBytesPerS ?? []);
  // A guest that is quiet most of the time never writes half of its median.
  const [low, busy] = [quantileOf(kept, LOW), quantileOf(kept, BUSY)];
  if (kept.length >= MANY_HOURS && newest <= Math.min(low, busy * QUIET_SHARE))
    return `the guest is quiet: it writes ${formatRate(newest)}, as in its quietest hours, and ${formatRate(busy)} when it is busy`;
  const looked = rates.slice(0, -1);
  // An hour counts as a look: how little it can write shows over days as well as within minutes.
  const before = [...kept, ...looked];
  if (before.length < FEW_LOOKS) return undefined;
  const median = medianOf(before);
  if (newest > median * QUIET_SHARE) return undefined;
  return `the guest is quiet: it writes ${formatRate(newest)}, and ${formatRate(median)} otherwise`;
}

/**
 * The same of a guest of which nobody can measure what it writes to memory: by its processors and what it writes to
 * storage, now and in the hours before.
 */
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
  // What it writes to storage may not be known, and it may be busy with that alone.
  const { cores, writtenBytesPerS = Infinity } = now;
  if (cores > mostCores || writtenBytesPerS > mostWritten) return undefined;
  const otherwise = knows
    ? `, and ${coresText(medianOf(seen.map(({ cores }) => cores)))} in the hours before`
    : '';
  return `the guest is quiet by its load: it uses ${coresText(now.cores)} processors${otherwise}`;
}

/** The bound is over. */
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
