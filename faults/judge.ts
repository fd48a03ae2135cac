/** What was seen of a cell against what must hold. Pure: the witness's word, not Godwit's, wherever both speak. */
import { isBefore, type Cell } from './cell.ts';
import type { Expectation, Outcome } from './expectation.ts';
import { bothRan, longestDarkMs, type Span } from './timeline.ts';

/** What a guest that reads all of its memory finds; `silent`: it has not read all of it in time. */
export type Memory = 'intact' | 'changed' | 'silent';

export interface CellObservation {
  readonly from: string;
  readonly to: string;
  /** What the injector did; undefined when the moment did not come. */
  readonly struck: string | undefined;
  /** Why it could not be struck, though its moment had come. */
  readonly missed?: string;
  readonly startedAtMs: number;
  readonly struckAtMs: number;
  readonly clearedAtMs: number;
  /** When Godwit said how it ended; undefined when it did not in time. */
  readonly endedAtMs: number | undefined;
  readonly outcome: Outcome | 'cancelled' | 'running';
  readonly error: string | undefined;
  /** When each copy ran, as the witness saw it. */
  readonly spans: readonly Span[];
  /** The hosts whose QEMU says, asked at the end, that its guest runs. */
  readonly runningOn: readonly string[];
  /** Undefined where no guest runs that could be asked. */
  readonly memory: Memory | undefined;
  readonly connectionKept: boolean | undefined;
  /** What is on the hosts and should not be. */
  readonly remains: readonly string[];
  /** What is not right with the disks of a guest that has some, in words. */
  readonly disks: readonly string[];
}

/** Not green, and either the fault struck or something is wrong that needs no fault. */
export function isRed({
  ok,
  problems,
  missed,
}: {
  readonly ok: boolean;
  readonly problems: readonly string[];
  readonly missed?: string | undefined;
}): boolean {
  return !ok && (missed === undefined || problems.length > 0);
}

/**
 * The problems, in words; none when everything that must hold does. Without a fault, what must hold after it says nothing: a
 * guest that moves by itself has one copy and leaves nothing behind.
 */
export function judge(cell: Cell, expect: Expectation, seen: CellObservation): string[] {
  const always = [
    ...oneCopy(seen),
    ...seen.remains.map((what) => `left behind: ${what}`),
    ...seen.disks,
  ];
  if (seen.struck === undefined) return always;
  return [
    ...always,
    ...theEnd(expect, seen),
    ...theGuest(expect, seen),
    ...theDark(cell, expect, seen),
  ];
}

/** Why the fault did not strike; undefined if it did. Such a play proves nothing, and is neither green nor red. */
export function whyNotStruck({
  struck,
  missed,
}: Pick<CellObservation, 'struck' | 'missed'>): string | undefined {
  if (struck !== undefined) return undefined;
  return missed ?? 'the moment of the fault did not come';
}

export function oneCopy({ spans, runningOn }: CellObservation): string[] {
  const both = bothRan(spans);
  const problems =
    both === undefined
      ? []
      : [`TWO COPIES RAN: ${both.host}, for ${Math.round(both.toMs - both.fromMs)} ms`];
  if (runningOn.length > 1) problems.push(`TWO COPIES RUN at the end: ${runningOn.join(', ')}`);
  return problems;
}

export function theEnd(expect: Expectation, seen: CellObservation): string[] {
  const { outcome, endedAtMs, struckAtMs, clearedAtMs } = seen;
  if (endedAtMs === undefined) return ['the migration did not end'];
  const problems: string[] = [];
  if (!(expect.outcomes as readonly string[]).includes(outcome)) {
    problems.push(`ended as ${outcome}, not as ${expect.outcomes.join(' or ')}: ${seen.error}`);
  }
  const reported = endedAtMs - Math.max(struckAtMs, clearedAtMs);
  if (reported > expect.reportedMs) {
    problems.push(`reported after ${Math.round(reported)} ms, later than ${expect.reportedMs} ms`);
  }
  return problems;
}

function theGuest(expect: Expectation, seen: CellObservation): string[] {
  const { outcome, runningOn, from, to } = seen;
  const dead = runningOn.length === 0;
  if (dead && expect.guest === 'lives') return ['no copy runs at the end: the guest is lost'];
  if (!dead && expect.guest === 'dies') return [`the guest runs on ${runningOn.join()}, killed`];
  // Killed once it had been seen to run at the destination, it died as any guest of that host does.
  const late = expect.guest === 'dies' && expect.outcomes.includes('done');
  if (dead) return outcome === 'done' && !late ? ['reported as done, and no copy runs'] : [];
  const problems: string[] = [];
  const reported = outcome === 'done' ? to : from;
  if (outcome === 'lost') problems.push(`reported as lost, and it runs on ${runningOn.join()}`);
  else if (!runningOn.includes(reported) && outcome !== 'running') {
    problems.push(`reported as ${outcome}, and it runs on ${runningOn.join()}`);
  }
  if (seen.memory === 'changed') problems.push("the guest's memory is not what it was");
  else if (seen.memory !== 'intact') {
    problems.push(
      'the guest did not read its memory in time: whether it is what it was is not known',
    );
  }
  if (seen.connectionKept !== true) problems.push("the client's connection broke");
  return problems;
}

function theDark(cell: Cell, expect: Expectation, seen: CellObservation): string[] {
  if (seen.runningOn.length === 0) return [];
  const dark = darkMs(seen);
  const before = isBefore(cell.phase, 'before-switch');
  if (before && seen.outcome === 'failed' && dark > 0) {
    return [`a fault before the switch stopped the guest for ${dark} ms`];
  }
  if (expect.darkMs === undefined || dark <= expect.darkMs) return [];
  return [`the guest was paused for ${dark} ms, longer than ${expect.darkMs} ms`];
}

/** The longest time without a running copy, ms. */
export function darkMs({ spans, startedAtMs, endedAtMs, clearedAtMs }: CellObservation): number {
  return longestDarkMs(spans, startedAtMs, endedAtMs ?? clearedAtMs);
}
