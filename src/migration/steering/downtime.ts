import type { SteeringStrategy } from '../../protocol/public/steering.ts';
import type { SteeringTrace } from './trace.ts';

/** The downtime that pre-copy may plan for. Pure. */

/** Of the wire: that much, and the far hypervisor's work on it, is under way when the guest stops (`wire/relay/in-flight`), ms. */
const UNDER_WAY_MS = 20;

/**
 * The part of the requested longest downtime that the hypervisor may plan for, ms. It reckons with what it has yet to
 * hand over; by the wire, what it handed over last is under way still, so it gets less.
 */
export function plannedDowntimeMs(maxDowntimeMs: number, byWire: boolean): number {
  return byWire ? Math.max(maxDowntimeMs / 2, maxDowntimeMs - UNDER_WAY_MS) : maxDowntimeMs;
}

/** The downtime that pre-copy may plan for at present, ms: a rung of the ladder within what was asked for. */
export function presentDowntimeMs(
  strategy: Pick<SteeringStrategy, 'downtimeShares' | 'measures'>,
  maxDowntimeMs: number,
  trace?: SteeringTrace,
): number {
  if (trace?.downtimeMs !== undefined) return Math.min(trace.downtimeMs, maxDowntimeMs);
  return rungs(strategy, maxDowntimeMs)[0] ?? maxDowntimeMs;
}

/** Those of the ladder, ms, the shortest first. */
export function rungs(
  { downtimeShares, measures }: Pick<SteeringStrategy, 'downtimeShares' | 'measures'>,
  maxDowntimeMs: number,
): number[] {
  // Where it is never raised it is all there from the start.
  if (!measures.includes('downtime')) return [maxDowntimeMs];
  return downtimeShares.map((share) => Math.max(1, Math.round(share * maxDowntimeMs)));
}
