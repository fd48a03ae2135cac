import type { SteeringChange, SteeringStrategy } from '../../protocol/public/steering.ts';
import type { SteeringTrace } from './trace.ts';

/** The downtime that pre-copy may plan for. Pure. */

/** Of the wire: that much, and the far hypervisor's work on it, is under way when the guest stops (`wire/relay/in-flight`), ms. */
export const WIRE_UNDER_WAY_MS = 20;

/** For how long the link has work with bytes that the hypervisor counts as sent and that its host's kernel still holds, ms. */
export function queuedMs(queuedBytes: number, bytesPerS: number): number {
  return queuedBytes === 0 ? 0 : (queuedBytes * 1000) / Math.max(1, bytesPerS);
}

/** Of the requested longest downtime, what is left for the guest's last pages however much else stands in it. */
const MIN_SHARE = 1 / 3;

/**
 * The part of the requested longest downtime that the hypervisor may plan for, ms. It reckons with what it has yet to
 * hand over. What is under way (ms) comes before that, and the switch after it, so it gets less, but no less than a third.
 */
export function plannedDowntimeMs(maxDowntimeMs: number, underWay: number): number {
  return Math.max(maxDowntimeMs * MIN_SHARE, maxDowntimeMs - underWay);
}

/** The longest downtime that has to be asked for, so that the hypervisor may plan for this much, ms. */
export function askedDowntimeMs(planned: number, underWay: number): number {
  return Math.min(planned / MIN_SHARE, planned + underWay);
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

interface Present {
  readonly settings: { readonly maxDowntimeMs: number };
  readonly trace: SteeringTrace | undefined;
  readonly underWayMs?: number;
}

/** What the hypervisor plans for at present, ms. */
export function plannedNowMs(
  strategy: SteeringStrategy,
  { settings, trace, underWayMs: underWay = 0 }: Present,
): number {
  return plannedDowntimeMs(presentDowntimeMs(strategy, settings.maxDowntimeMs, trace), underWay);
}

/** To the least rung that suffices for what the hypervisor expects, or the last one where none does; undefined at the last one. */
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
