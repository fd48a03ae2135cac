import {
  MAX_STEPS,
  type PlannedSteering,
  type Prediction,
  type PredictionCosts,
  type Range,
} from '../../protocol/public/prediction.ts';
import { formatBytes, formatDuration } from '../../protocol/quantity.ts';
import { strategyOf } from '../steering/strategies.ts';
import { simulateContent } from './content-rounds.ts';
import { diskCopyOf } from './disk-copy.ts';
import { effectsOf } from './effects.ts';
import { isByWire } from './hits.ts';
import { asKept } from './link-share.ts';
import {
  aloneOf,
  isSampled,
  isSeveral,
  loadOf,
  queuedMsOf,
  underWayMsOf,
  type Load,
} from './load.ts';
import type { Facts } from './facts.ts';
import { factorsOf } from './own-costs.ts';
import { widened, widthsOf } from './own-errors.ts';
import { learnedFactor, medianOf } from './own-times.ts';
import {
  AROUND_MS,
  AROUND_SPREAD,
  CLIENT_MS,
  CLIENT_ROUND_TRIPS,
  EMPTIED_MS,
  POSTCOPY_NEEDED_BYTES,
  POSTCOPY_NEEDED_SHARE,
  EMPTY_MS,
  MIN_QUEUED_MS,
  FREEZE_MS,
  FREEZE_MS_PER_GB,
  FURTHER_ROUNDS,
  LEVEL,
  LOADED_ROUND_TRIPS,
  POSTCOPY_FURTHER_ROUNDS,
  POSTCOPY_SWITCH_MS,
  SEVERAL_SWITCH_MS,
  SPREADS,
  SURE,
  SWITCH_MS,
} from './parameters.ts';
import { isThere, simulate, type Rounds } from './rounds.ts';
import { NOMINAL, rangeOf, scenarios, type Scenario, type Spreads } from './scenarios.ts';

/** Predicts a migration from measurements. Pure. */

/**
 * Simulates the measured figures for the middle of each range, and a fixed set of scenarios with errors in each
 * figure for its ends. A range leaves out the share of scenarios that the level allows. This host's moves to that
 * host adjust the path's costs, and finally the widths of the ranges.
 */
export function predict(asked: Facts): Prediction {
  const facts = learned(asked);
  const factor = factorOf(facts);
  const middle = outcome(facts, NOMINAL, factor);
  const cases = scenarios(spreadsOf(facts)).map((scenario) => outcome(facts, scenario, factor));
  const range = (of: (each: Outcome) => number): Range =>
    rangeOf(
      cases.map((each) => of(each)),
      of(middle),
    );
  const ended = cases.filter(({ ends }) => ends);
  /** Only moves that end have a pause. */
  const pause = (of: (each: Outcome) => number): Range => {
    const all = ended.map((each) => of(each));
    return rangeOf(all, middle.ends ? of(middle) : all.length === 0 ? 0 : medianOf(all));
  };
  const effects = middle.ends ? { effects: effectsOf(facts, middle) } : {};
  const probability = ended.length / cases.length;
  const widths = probability < SURE ? {} : widthsOf(facts.ownMoves ?? []);
  const ranges = {
    bytes: range(({ rounds }) => Math.round(rounds.bytes)),
    totalMs: range(({ totalMs }) => Math.round(totalMs)),
    memoryMs: range(({ rounds }) => Math.round(rounds.memoryMs)),
    downtimeMs: pause(({ downtimeMs }) => Math.round(downtimeMs)),
    clientGapMs: pause(({ clientGapMs }) => Math.round(clientGapMs)),
  };
  return {
    level: LEVEL,
    ...widened(ranges, widths, facts.settings.timeoutMs),
    rounds: range(({ rounds }) => rounds.rounds + furtherOf(facts, rounds)),
    ...(facts.disks === undefined
      ? {}
      : {
          disks: {
            bytes: range(({ diskBytes }) => Math.round(diskBytes)),
            ms: range(({ diskMs }) => Math.round(diskMs)),
          },
        }),
    ...(Object.keys(widths).length === 0 ? {} : { widths }),
    ...effects,
    ...costsOf(facts, middle.rounds),
    converges: { probability, why: lateWhy(facts, middle) ?? whyOf(facts, middle.rounds) },
    steering: steeringOf(facts, middle.rounds),
  };
}

function steeringOf({ settings }: Facts, { ends, steps }: Rounds): PlannedSteering {
  const { name: strategy } = strategyOf(settings);
  return {
    strategy,
    ends: ends === 'never' ? 'timeout' : ends,
    steps: steps.slice(0, MAX_STEPS).map(({ hint: _, ...step }) => step),
  };
}

function furtherOf(facts: Facts, { ends }: Rounds): number {
  // Data sent in the freeze is not a round.
  if (facts.rounds === 'content') return 0;
  return ends === 'postcopy' ? POSTCOPY_FURTHER_ROUNDS : FURTHER_ROUNDS;
}

/** Middle of each range only; far cheaper than `predict`. */
export function expected(asked: Facts): Outcome {
  const facts = learned(asked);
  return outcome(facts, NOMINAL, factorOf(facts));
}

const learned = (facts: Facts): Facts => ({
  ...facts,
  settings: asKept(facts.settings, facts),
  factors: factorsOf(facts.memoryPath, facts.ownMoves ?? []),
});

/** Inputs for later learning. Managers' and containers' rounds are not broken down enough. */
function costsOf(facts: Facts, { ends, bytes, memoryMs }: Rounds): Pick<Prediction, 'costs'> {
  const { memoryPath, factors, link, shape, rounds, processors, mix } = facts;
  // If only one host's processors are known, the slower host is unknown.
  const isOwn = shape !== 'managed' && rounds !== 'content' && processors.length > 1;
  if (ends !== 'precopy' || factors === undefined || !isOwn || memoryMs <= 0) return {};
  const { workMs, linkMs, alternating, firstBytes } = aloneOf(facts, NOMINAL, bytes);
  const part = (ms: number): number => Math.min(1, ms / memoryMs);
  const firstShare = bytes > 0 ? Math.min(1, firstBytes / bytes) : 1;
  const costs: PredictionCosts = {
    memoryPath,
    processor: { ...factors.processor, share: part(workMs) },
    ...(alternating ? { alternating } : {}),
    // Cached pages that were not sampled make a move faster, like faster hosts.
    ...(isByWire(memoryPath) && mix?.known === undefined ? { onlySlower: true } : {}),
    // Cached pages are sent by name, so their bytes do not show compression.
    ...(isSampled(facts) && !isByWire(memoryPath)
      ? { bytes: { ...factors.bytes, firstShare } }
      : {}),
    ...(link === undefined ? {} : { linkShare: part(linkMs) }),
  };
  return { costs };
}

function factorOf(facts: Facts): number {
  const { memoryPath, settings, ownMoves = [] } = facts;
  if (ownMoves.length === 0) return 1;
  const { rounds, downtimeMs } = outcome(facts, NOMINAL, 1);
  if (rounds.ends !== 'precopy' && rounds.ends !== 'postcopy') return 1;
  const several = isSeveral(memoryPath);
  const { maxDowntimeMs } = settings;
  return learnedFactor(
    downtimeMs,
    { finished: rounds.ends, byWire: isByWire(memoryPath), several, maxDowntimeMs },
    ownMoves,
  );
}

export interface Outcome {
  readonly load: Load;
  readonly rounds: Rounds;
  readonly ends: boolean;
  readonly totalMs: number;
  /** Time of disk copies before memory; their link bytes until the switchover. */
  readonly diskMs: number;
  readonly diskBytes: number;
  readonly downtimeMs: number;
  readonly clientGapMs: number;
}

function outcome(facts: Facts, scenario: Scenario, factor: number): Outcome {
  const { settings } = facts;
  const aroundMs = (facts.aroundMs ?? AROUND_MS) * scenario.fixed ** AROUND_SPREAD;
  const disks = diskCopyOf(facts, scenario);
  const leftMs = settings.timeoutMs - aroundMs - disks.ms;
  const timeoutMs = Math.max(1, leftMs);
  const load = loadOf(facts, scenario);
  const policy = { ...settings, timeoutMs, underWayMs: underWayMsOf(facts, scenario) };
  const rounds =
    facts.rounds === 'content'
      ? simulateContent(load, policy, scenario.processor)
      : simulate(load, { ...policy, levers: facts.levers }, scenario.tail);
  const { memoryMs } = rounds;
  const ends = isThere(rounds) && leftMs > 0;
  const whole = {
    load,
    rounds,
    ends,
    totalMs: aroundMs + disks.ms + memoryMs,
    diskMs: disks.ms,
    diskBytes: Math.min(Number.MAX_SAFE_INTEGER, disks.bytes + disks.writtenPerMs * memoryMs),
  };
  if (!ends) return { ...whole, downtimeMs: 0, clientGapMs: 0 };
  const { fixed } = scenario;
  const queuedMs = Math.min(queuedMsOf(facts, scenario), load.passMs);
  const neededMs = neededMsOf(load, rounds) * fixed;
  const { downtimeMs, laterMs } = downtimeOf(facts, rounds, { queuedMs, fixed, neededMs });
  const downMs = downtimeMs * factor;
  return { ...whole, downtimeMs: downMs, clientGapMs: downMs + laterMs };
}

/** Time until a guest in post-copy has the pages that it needs to answer, ms. */
function neededMsOf({ passMs, againMsPerByte }: Load, { lateMs = 0 }: Rounds): number {
  const missing = Math.min(1, lateMs / Math.max(1, passMs));
  const fetchedMs = POSTCOPY_NEEDED_BYTES * againMsPerByte * missing;
  return Math.min(lateMs * POSTCOPY_NEEDED_SHARE, fetchedMs);
}

/**
 * The hypervisor's downtime, and a client's additional wait, ms. In pre-copy it ends when the destination has loaded
 * everything; in post-copy, when the last byte was written to the stream.
 */
function downtimeOf(
  { link, memoryPath, rounds, memoryBytes, shape, settings }: Facts,
  { ends, finalMs }: Rounds,
  { queuedMs, fixed, neededMs }: Readonly<Record<'queuedMs' | 'fixed' | 'neededMs', number>>,
): { readonly downtimeMs: number; readonly laterMs: number } {
  const roundTripMs = link?.roundTripMs ?? 0;
  const seenMs = CLIENT_MS * fixed;
  if (ends === 'postcopy') {
    const isPaced = shape !== 'managed' && settings.mode !== 'postcopy' && !isSeveral(memoryPath);
    const isEmptied = isPaced && queuedMs >= MIN_QUEUED_MS;
    const aheadMs = isEmptied ? EMPTIED_MS + Math.max(0, queuedMs - EMPTY_MS) : queuedMs;
    const laterMs = aheadMs + CLIENT_ROUND_TRIPS * roundTripMs + seenMs + neededMs;
    return { downtimeMs: POSTCOPY_SWITCH_MS * fixed, laterMs };
  }
  const frozenMs = FREEZE_MS + (memoryBytes / 1e9) * FREEZE_MS_PER_GB;
  const runningMs = isSeveral(memoryPath) ? SEVERAL_SWITCH_MS : SWITCH_MS;
  const switchMs = rounds === 'content' ? frozenMs : runningMs;
  const loadedMs = queuedMs + finalMs + switchMs * fixed + LOADED_ROUND_TRIPS * roundTripMs;
  const laterTrips = CLIENT_ROUND_TRIPS - LOADED_ROUND_TRIPS;
  return { downtimeMs: loadedMs, laterMs: laterTrips * roundTripMs + seenMs };
}

function spreadsOf({ link, mix }: Facts): Spreads {
  const { dirty, processor, fixed, share } = SPREADS;
  return {
    link: SPREADS.link[link?.how ?? 'unknown'],
    dirty,
    share: mix === undefined ? share.unknown : share.sampled,
    processor,
    fixed,
  };
}

/** Reason if the time limit passes before memory moves, or before one full pass. */
function lateWhy(
  { settings }: Facts,
  { diskMs, totalMs, rounds, load }: Outcome,
): string | undefined {
  const beforeMs = totalMs - rounds.memoryMs;
  const leftMs = settings.timeoutMs - beforeMs;
  if (leftMs > 0) {
    if (rounds.ends !== 'never' || load.passMs <= leftMs) return undefined;
    const [pass, left, allowed, copies] = [load.passMs, leftMs, settings.timeoutMs, diskMs].map(
      (ms) => formatDuration(Math.round(ms)),
    );
    const after = diskMs === 0 ? '' : `, as the copies of its disks take ${copies}`;
    return `sending its memory once takes ${pass}; of the ${allowed} allowed, ${left} remain for it${after}`;
  }
  const [disks, around, allowed] = [diskMs, beforeMs, settings.timeoutMs].map((ms) =>
    formatDuration(Math.round(ms)),
  );
  return diskMs === 0
    ? `all but its memory takes ${around}, and ${allowed} are allowed for all of it`
    : `the copies of its disks take ${disks}, and ${allowed} are allowed for all of it`;
}

function whyOf(
  facts: Facts,
  { ends, lastMs, lastDirtied, rounds, memoryMs, steps }: Rounds,
): string {
  const { mode, timeoutMs } = facts.settings;
  if (mode === 'postcopy') return 'post-copy sends each page once, and always ends';
  const round = `a round of ${formatDuration(lastMs)} leaves ${formatBytes(Math.round(lastDirtied))} written`;
  if (ends === 'given-up') {
    const { why = '', hint = '' } = steps.at(-1) ?? {};
    return `it will not converge, and ${strategyOf(facts.settings).name} gives it up after ${rounds} rounds and ${formatDuration(memoryMs)} of memory: ${why}. ${hint}`;
  }
  if (ends === 'postcopy' && rounds === 1)
    return `post-copy follows after ${formatDuration(lastMs)} of the first round, in which ${formatBytes(Math.round(lastDirtied))} were written again`;
  if (ends === 'postcopy') return `${round} after ${rounds} rounds, which follows by post-copy`;
  if (ends === 'precopy' && facts.rounds === 'content')
    return `its rounds end by themselves: ${round} after ${rounds} rounds, which is sent while it is frozen`;
  const raised = steps.findLast(({ what }) => what === 'downtime')?.change;
  if (ends === 'precopy' && raised !== undefined)
    return `${round}, which is sent within the downtime once that is raised to ${raised.to} ms`;
  if (ends === 'precopy')
    return `${round}, which is sent within one piece of the hypervisor’s work`;
  return `${round}, and sending that takes as long again: it would go on until the ${formatDuration(timeoutMs)} allowed are over`;
}
