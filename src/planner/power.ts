import type { PlannerHost } from './inventory.ts';

/** For hosts that say nothing of their power: an idle one costs seven tenths of a busy one. */
const UNKNOWN_WATTS = [0.7, 1];

/** Power at `load` (0 to 1), W; for a host that does not say, a share of one host. */
export function wattsOf({ watts = UNKNOWN_WATTS }: PlannerHost, load: number): number {
  const place = Math.min(Math.max(load, 0), 1) * (watts.length - 1);
  const below = Math.floor(place);
  const low = watts[below] ?? 0;
  const high = watts[Math.ceil(place)] ?? low;
  return low + (high - low) * (place - below);
}

/** What a unit of processor costs on a full host, W: the less, the sooner the host is filled and the later emptied. */
export const dearness = (host: PlannerHost): number => wattsOf(host, 1) / host.cpu;
