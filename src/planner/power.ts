import type { PlannerHost } from './inventory.ts';

/** Default for unreported power: an idle host costs seven tenths of a busy one. */
const UNKNOWN_WATTS = [0.7, 1];

/** Power at `load` (0 to 1), W; without data, a share of one host. */
export function wattsOf({ watts = UNKNOWN_WATTS }: PlannerHost, load: number): number {
  const place = Math.min(Math.max(load, 0), 1) * (watts.length - 1);
  const below = Math.floor(place);
  const low = watts[below] ?? 0;
  const high = watts[Math.ceil(place)] ?? low;
  return low + (high - low) * (place - below);
}

/** W per unit of processor on a full host: efficient hosts are filled first and emptied last. */
export const dearness = (host: PlannerHost): number => wattsOf(host, 1) / host.cpu;
