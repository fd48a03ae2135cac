import fc from 'fast-check';
import { steer } from '../../../src/migration/steering/steering.ts';
import type { Decision, SteeringView } from '../../../src/migration/steering/decision.ts';
import { plannedNowMs } from '../../../src/migration/steering/downtime.ts';
import {
  afterMeasure,
  afterRound,
  type SteeringTrace,
} from '../../../src/migration/steering/trace.ts';
import type { Writes } from '../../../src/migration/steering/write-rate.ts';
import {
  modeOf,
  STEERING_MEASURES,
  type SteeringMeasure,
  type SteeringStrategy,
} from '../../../src/protocol/public/steering.ts';
import { sampleOf } from '../direct/samples.ts';

/** A guest that writes at random within its working set, and a link: rounds as a hypervisor makes them. */
export interface Course {
  readonly memoryBytes: number;
  readonly workingSetBytes: number;
  /** bytes/s */
  readonly dirtyRate: number;
  readonly linkRate: number;
  readonly maxDowntimeMs: number;
  /** Under way when the guest stops, ms. */
  readonly underWayMs?: number;
  readonly timeoutMs: number;
  readonly levers: readonly SteeringMeasure[];
}

const MiB = 1024 * 1024;
export const LINK = 100 * MiB;

export const samples = fc
  .record({
    totalBytes: fc.nat(1 << 30),
    remainingBytes: fc.nat(1 << 30),
    rate: fc.nat(1 << 30),
    dirtyRate: fc.nat(1 << 30),
    round: fc.nat(60),
    expectedDowntimeMs: fc.nat(100_000),
  })
  .map(sampleOf);
export const courses = fc.record({
  memoryBytes: fc.constant(1024 * MiB),
  workingSetBytes: fc.integer({ min: 0, max: 1024 * MiB }),
  dirtyRate: fc.integer({ min: 0, max: 4 * LINK }),
  linkRate: fc.integer({ min: MiB, max: 10 * LINK }),
  maxDowntimeMs: fc.integer({ min: 20, max: 5000 }),
  underWayMs: fc.integer({ min: 0, max: 500 }),
  timeoutMs: fc.integer({ min: 30_000, max: 600_000 }),
  levers: fc.subarray([...STEERING_MEASURES]),
});
export const swings = fc.array(fc.double({ min: 0.1, max: 3, noNaN: true }), {
  minLength: 1,
  maxLength: 8,
});
export const swinging = (list: readonly number[]) => (round: number) =>
  list[round % list.length] ?? 1;

export interface Outcome {
  readonly ends: 'precopy' | 'postcopy' | 'given-up' | 'timeout';
  readonly rounds: number;
  readonly decisions: readonly Decision[];
  /** What remained as each round began. */
  readonly remaining: readonly number[];
  readonly throttlePercent: number;
}

const WINDOWS_MS = Array.from({ length: 16 }, (_, at) => 5 * 2 ** at);

/** What the guest writes within windows, as a look at all of its pages sees it: the working set fills up. */
export function writesOf({ workingSetBytes: set, dirtyRate, memoryBytes }: Course): Writes {
  const curve = WINDOWS_MS.map((windowMs) => {
    const share = set === 0 ? 0 : 1 - Math.exp((-dirtyRate * (windowMs / 1000)) / set);
    return { windowMs, dirtyBytes: set * share };
  });
  return { pages: memoryBytes / 4096, memoryBytes, curve, linkRate: 0 };
}

/** What a mover is told while the first round goes on, of which the view has the beginning. */
function inFirstRound(strategy: SteeringStrategy, view: SteeringView): Decision | undefined {
  const { totalBytes, rate } = view.sample;
  for (const share of [0.1, 0.3, 0.5, 0.7, 0.9]) {
    const sent = Math.round(share * totalBytes);
    const totalMs = Math.round((sent * 1000) / rate);
    const now = { totalMs, transferredBytes: sent, remainingBytes: totalBytes - sent };
    const sample = { ...view.sample, ...now };
    const decision = steer(strategy, { ...view, sample, leftMs: view.leftMs - totalMs });
    if (decision !== undefined) return decision;
  }
  return undefined;
}

/** A hypervisor looks at what was dirtied no more often than this, s. */
const MIN_ROUND_S = 0.05;

/** `swing`: what the dirty rate of a round is multiplied with; `writes`: what a look at its pages saw. */
export function play(
  strategy: SteeringStrategy,
  course: Course,
  swing: (round: number) => number = () => 1,
  writes: Writes | undefined = writesOf(course),
): Outcome {
  const { memoryBytes, linkRate, maxDowntimeMs, underWayMs = 0, timeoutMs, levers } = course;
  const decisions: Decision[] = [];
  const remaining: number[] = [];
  let trace: SteeringTrace | undefined;
  let [left, atMs, dirtied] = [memoryBytes, 0, 0];
  // As a round begins, a hypervisor's own figure is of the round before, and at first the downtime that it was asked for.
  let lateMs = plannedNowMs(strategy, { settings: { maxDowntimeMs }, trace, underWayMs });
  const result = (ends: Outcome['ends'], rounds: number): Outcome => {
    return {
      ends,
      rounds,
      decisions,
      remaining,
      throttlePercent: trace?.throttlePercent ?? 0,
    };
  };
  for (let round = 1; ; round += 1) {
    remaining.push(left);
    const present = plannedNowMs(strategy, { settings: { maxDowntimeMs }, trace, underWayMs });
    if (round > 1 && (left / linkRate) * 1000 <= present) return result('precopy', round);
    if (atMs > timeoutMs) return result('timeout', round);
    const sample = sampleOf({
      totalBytes: memoryBytes,
      remainingBytes: Math.round(left),
      rate: linkRate,
      dirtyRate: Math.round(dirtied),
      round,
      totalMs: Math.round(atMs),
      throttlePercent: trace?.throttlePercent ?? 0,
      expectedDowntimeMs: Math.round(lateMs),
    });
    if (round > 1) lateMs = (left / linkRate) * 1000;
    trace = afterRound(trace, sample);
    const settings = { mode: modeOf(strategy), maxDowntimeMs };
    const leftMs = timeoutMs - atMs;
    const view = { trace, levers, settings, leftMs, underWayMs, writes };
    if (round === 1) {
      const early = inFirstRound(strategy, { ...view, sample });
      if (early !== undefined) {
        decisions.push(early);
        return result('postcopy', round);
      }
    }
    const decision = steer(strategy, { ...view, sample });
    if (decision !== undefined) {
      decisions.push(decision);
      if (decision.what === 'postcopy') return result('postcopy', round);
      if (decision.what === 'give-up') return result('given-up', round);
      trace = afterMeasure(trace, decision.why, decision.change);
    }
    const seconds = Math.max(MIN_ROUND_S, left / linkRate);
    const speed = 1 - (trace.throttlePercent ?? 0) / 100;
    const set = course.workingSetBytes;
    const written = course.dirtyRate * speed * swing(round) * seconds;
    left = set === 0 ? 0 : set * (1 - Math.exp(-written / set));
    dirtied = left / seconds;
    atMs += seconds * 1000;
  }
}

/** Rounds after the first without a new minimum by 5 %, until the end. */
export function sinceStall(remaining: readonly number[]): number {
  let least = Infinity;
  let stalled = 0;
  for (const bytes of remaining) {
    stalled = bytes <= least * 0.95 ? 0 : stalled + 1;
    least = Math.min(least, bytes);
  }
  return Math.max(0, stalled - 1);
}
