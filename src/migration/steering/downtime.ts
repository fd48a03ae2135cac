import type { SteeringChange, SteeringStrategy } from '../../protocol/public/steering.ts';
import type { SteeringTrace } from './trace.ts';

/** Downtime that pre-copy may plan for. Pure. */

/** Wire data in flight when the guest stops, with the far hypervisor's work on it (`wire/relay/in-flight`), ms. */
export const WIRE_UNDER_WAY_MS = 20;

/** Link time of bytes that the hypervisor counts as sent and the kernel still holds, ms. */
export function queuedMs(queuedBytes: number, bytesPerS: number): number {
  return queuedBytes === 0 ? 0 : (queuedBytes * 1000) / Math.max(1, bytesPerS);
}

/** Minimum share of the requested downtime for the guest's last pages. */
const MIN_SHARE = 1 / 3;

/**
 * Part of the requested maximum downtime that the hypervisor may plan for, ms. It does not count bytes in flight (ms)
 * and the switchover, so these are subtracted, down to a third.
 */
export function plannedDowntimeMs(maxDowntimeMs: number, underWay: number): number {
  return Math.max(maxDowntimeMs * MIN_SHARE, maxDowntimeMs - underWay);
}

/** Inverse: the maximum downtime to request for this plan, ms. */
export function askedDowntimeMs(planned: number, underWay: number): number {
  return Math.min(planned / MIN_SHARE, planned + underWay);
}

/** Downtime that pre-copy may plan for now, ms: a rung of the ladder within the request. */
export function presentDowntimeMs(
  strategy: Pick<SteeringStrategy, 'downtimeShares' | 'measures'>,
  maxDowntimeMs: number,
  trace?: SteeringTrace,
): number {
  if (trace?.downtimeMs !== undefined) return Math.min(trace.downtimeMs, maxDowntimeMs);
  return rungs(strategy, maxDowntimeMs)[0] ?? maxDowntimeMs;
}

/** Rungs, ms, shortest first. */
export function rungs(
  { downtimeShares, measures }: Pick<SteeringStrategy, 'downtimeShares' | 'measures'>,
  maxDowntimeMs: number,
): number[] {
  // If it is never raised, all of it is available from the start.
  if (!measures.includes('downtime')) return [maxDowntimeMs];
  return downtimeShares.map((share) => Math.max(1, Math.round(share * maxDowntimeMs)));
}

interface Present {
  readonly settings: { readonly maxDowntimeMs: number };
  readonly trace: SteeringTrace | undefined;
  readonly underWayMs?: number;
}

export function plannedNowMs(
  strategy: SteeringStrategy,
  { settings, trace, underWayMs: underWay = 0 }: Present,
): number {
  return plannedDowntimeMs(presentDowntimeMs(strategy, settings.maxDowntimeMs, trace), underWay);
}

/** Lowest rung that suffices for the hypervisor's estimate, or else the last; undefined at the last. */
export function longerDowntime(
  strategy: SteeringStrategy,
  { settings, trace, underWayMs: underWay = 0 }: Present,
  expectedMs: number,
): SteeringChange | undefined {
  const from = presentDowntimeMs(strategy, settings.maxDowntimeMs, trace);
  const above = rungs(strategy, settings.maxDowntimeMs).filter((rung) => rung > from);
  const to = above.find((rung) => plannedDowntimeMs(rung, underWay) >= expectedMs) ?? above.at(-1);
  return to === undefined ? undefined : { of: 'downtimeMs', from, to };
}
