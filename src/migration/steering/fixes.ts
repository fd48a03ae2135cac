import type { MigrationSettings } from '../../protocol/public/migration.ts';
import type { SteeringInputs, SteeringMeasure } from '../../protocol/public/steering.ts';
import { formatRate } from '../../protocol/quantity.ts';
import { askedDowntimeMs } from './downtime.ts';

/** Advice for a migration that was given up: the two fixes that cost the guest least. Pure. */

export type Limits = Pick<MigrationSettings, 'mode' | 'maxBandwidth' | 'linkShare'> & {
  /** The cap is the host's for this time of day. */
  readonly isOfHours?: boolean;
};

interface Facts {
  readonly settings: Limits;
  readonly inputs: SteeringInputs;
  /** Smallest remainder at the start of a round. */
  readonly leastBytes: number;
  readonly levers: readonly SteeringMeasure[];
  /** Link time of bytes queued when the guest stops, before its last pages, ms. */
  readonly underWayMs: number;
  readonly isThrottled: boolean;
}

const MARGIN = 1.3;
/** Share of the link below which steering throttles the guest. */
const THROTTLED_SHARE = 0.7;
/** Pause that most guests tolerate, ms. */
const SHORT_MS = 1000;
const LONGEST_MS = 60_000;

export function fixesFor(facts: Facts): string {
  const { settings, inputs, leastBytes, levers, underWayMs, isThrottled } = facts;
  const { rate, dirtyRate } = inputs;
  const plannedMs = (leastBytes / Math.max(rate, 1)) * 1000 * MARGIN;
  const neededMs = roundUp(askedDowntimeMs(plannedMs, underWayMs));
  const downtime =
    neededMs <= LONGEST_MS ? [`--max-downtime ${neededMs}ms (it is paused for that long)`] : [];
  const isShort = neededMs <= SHORT_MS;
  const neededRate = formatRate(Math.ceil(dirtyRate * MARGIN));
  const isCapped = settings.maxBandwidth !== undefined;
  const mayThrottle = levers.includes('throttle') && !isThrottled && dirtyRate > 0;
  const throttled = mayThrottle ? Math.round((1 - (rate * THROTTLED_SHARE) / dirtyRate) * 100) : 0;
  const ways = [
    ...(isCapped ? [roomFor(settings, rate, dirtyRate * MARGIN)] : []),
    ...(isShort ? downtime : []),
    ...(levers.includes('postcopy') ? ['--steering must-finish (post-copy moves the rest)'] : []),
    ...(throttled > 0 && throttled < 99
      ? [`--steering no-postcopy (takes about ${throttled} % of its processor time)`]
      : []),
    ...(isShort ? [] : downtime),
    ...(isCapped ? [] : [`a link above ${neededRate}`]),
  ];
  const [first = 'a faster link', second = 'a time when the guest writes less'] = ways;
  return `Use ${first} or ${second}.`;
}

export const OTHER_HOURS = 'a time of day in which its host allows more (limits.bandwidth)';

/** A share of the link cannot be raised by --max-bandwidth, since the lower cap counts. */
function roomFor({ linkShare, isOfHours }: Limits, rate: number, needed: number): string {
  if (isOfHours === true) return OTHER_HOURS;
  const above = formatRate(Math.ceil(needed));
  if (linkShare === undefined) return `a --max-bandwidth above ${above}`;
  const share = Math.ceil(((linkShare * needed) / Math.max(1, rate)) * 100) / 100;
  return share < 1 ? `a --link-share above ${share}` : `a link whose share is above ${above}`;
}

function roundUp(value: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(value, 1))) - 1);
  return Math.max(1, Math.ceil(value / step) * step);
}
