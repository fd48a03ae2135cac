import type { MigrationSettings } from '../../protocol/public/migration.ts';
import type { GuestDescription } from '../../protocol/peer/migration.ts';
import type {
  SteeringChange,
  SteeringInputs,
  SteeringMeasure,
  SteeringStrategy,
} from '../../protocol/public/steering.ts';
import { formatBytes, formatDuration, formatRate } from '../../protocol/quantity.ts';
import { cautiousRate, inputsOf, meanRate, reckonedMs, wordsOf } from './figures.ts';
import { forCost, writtenWords } from './cheaper.ts';
import type { Decision, SteeringView } from './decision.ts';
import { longerDowntime, plannedDowntimeMs, plannedNowMs } from './downtime.ts';
import { firstRoundOf, isLastMoment, neededFor } from './first-round.ts';
import { fixesFor } from './fixes.ts';

/** Decides how to make a hard migration converge, or reports early why it cannot. Pure. */

export const DECISION_WORDS = {
  postcopy: 'post-copy',
  downtime: 'downtime',
  throttle: 'throttle',
  'give-up': 'given up',
  'slow-writes': 'the guest’s writes wait for their copies',
} as const;

type KnownGuest = {
  description?: Pick<GuestDescription, 'disks'> | undefined;
  snapshot?: object | undefined;
};

/**
 * True if the hypervisor stops at the switchover until told to continue. Post-copy and hybrid choose there how the
 * guest leaves. If disks are copied, the source has them for the last time there. A rehearsal never continues from
 * there. A guest with a snapshot is compared there, because no change can follow.
 */
export function holdsSwitchover(
  { mode, rehearse }: Pick<MigrationSettings, 'mode' | 'rehearse'>,
  { description, snapshot }: KnownGuest = {},
): boolean {
  const hasDisks = (description?.disks ?? []).length > 0;
  return mode !== 'precopy' || rehearse === true || hasDisks || snapshot !== undefined;
}

/** Ratio of dirty rate to link rate below which rounds still shrink; above it, another round gains next to nothing. */
export const CONVERGING_SHARE = 0.9;
/** Share of the link; a throttled guest that would dirty less gets its speed back. */
const QUIET_SHARE = 0.6;
/** A longer downtime gets a separate round if the remainder is at most this multiple of the maximum. */
const WITHIN_REACH = 2;
/** Target of throttling: dirty rate as a share of the link. */
const THROTTLED_SHARE = 0.7;
/** A remainder this close to the limit gets one more round. */
const NEARLY = 1.25;
/**
 * After this many stalled rounds that should have been the last, none will be. The hypervisor calculates slightly
 * differently, and would continue until the timeout.
 */
const ENOUGH_ROUNDS = 4;

/**
 * A hypervisor applies a throttle at the end of a round of a second or more, and QEMU only after two rounds with much
 * dirtying. A step without effect after this time has none, ms.
 */
const THROTTLE_SHOWS_MS = 10_000;
const MAX_FAILURES = 2;

/** Next decision; undefined: pre-copy continues. */
export function steer(strategy: SteeringStrategy, view: SteeringView): Decision | undefined {
  const { sample } = view;
  if (sample.totalBytes === 0) return undefined;
  const mayPostcopy = can(strategy, view, 'postcopy');
  const inputs = inputsOf(view);
  if (mayPostcopy && strategy.precopyRounds === 0)
    return { what: 'postcopy', rule: 'at-once', why: 'post-copy was asked for', inputs };
  const isOver = strategy.precopyRounds !== undefined && sample.round > strategy.precopyRounds;
  if (mayPostcopy && isOver)
    return {
      what: 'postcopy',
      rule: 'rounds',
      why: `${strategy.precopyRounds} rounds of pre-copy are over`,
      inputs,
    };
  if (sample.rate === 0) return undefined;
  // Before the first full round, only a sample of the guest's pages is known.
  if (sample.round < 2) {
    if (!mayPostcopy) return undefined;
    return forCost(strategy, view, inputs) ?? forTimeInFirstRound(view, inputs);
  }
  const isEnough = inputs.expectedDowntimeMs <= plannedNowMs(strategy, view);
  if (isEnough && inputs.stalledRounds < ENOUGH_ROUNDS) return undefined;
  const soon = forTime(mayPostcopy, view, inputs) ?? speedBack(view, inputs);
  if (soon !== undefined) return soon;
  if (!isThrottleThere(view)) return undefined;
  const next = nextMeasure(strategy, view, inputs);
  if (next !== undefined && isDue(next, strategy, view, inputs)) return next;
  const cheaper = mayPostcopy ? forCost(strategy, view, inputs) : undefined;
  return cheaper ?? (next === undefined ? giveUp(strategy, view, inputs) : undefined);
}

/** True if the throttle has taken effect, or had the time to. */
function isThrottleThere({ sample, trace }: SteeringView): boolean {
  const { throttlePercent, decidedAtMs = 0 } = trace ?? {};
  if (throttlePercent === undefined) return true;
  const { throttlePercent: present = 0 } = sample;
  const shows = throttlePercent === 0 ? present === 0 : present >= throttlePercent;
  return shows || sample.totalMs - decidedAtMs >= THROTTLE_SHOWS_MS;
}

const SETS = { downtime: 'downtimeMs', throttle: 'throttlePercent', postcopy: 'postcopy' } as const;

function can(strategy: SteeringStrategy, view: SteeringView, measure: SteeringMeasure): boolean {
  if (!strategy.measures.includes(measure) || !view.levers.includes(measure)) return false;
  const failures = view.trace?.failed?.filter((each) => each === SETS[measure]).length ?? 0;
  if (failures >= MAX_FAILURES) return false;
  return measure !== 'postcopy' || view.settings.mode !== 'precopy';
}

function forTime(
  mayPostcopy: boolean,
  view: SteeringView,
  inputs: SteeringInputs,
): Decision | undefined {
  const { remainingBytes, leftMs } = inputs;
  const rate = cautiousRate(view);
  if (!mayPostcopy || leftMs >= neededFor((remainingBytes * 1000) / rate)) return undefined;
  const left = `${formatDuration(leftMs)} are left`;
  const why = `${left}, and the link takes ${formatBytes(remainingBytes)} at ${formatRate(Math.round(rate))}`;
  return { what: 'postcopy', rule: 'time-left', why, inputs };
}

/** Same in the first round, where rewritten pages must be sent again too. */
function forTimeInFirstRound(
  { sample, writes, settings, recentRate = 0, underWayMs = 0 }: SteeringView,
  inputs: SteeringInputs,
): Decision | undefined {
  const { leftMs } = inputs;
  // Not the peak: the kernel's queue makes the link look faster in the first second.
  const rate = Math.max(recentRate, meanRate(sample));
  const ahead = firstRoundOf(sample, writes, rate);
  const downtimeMs = plannedDowntimeMs(settings.maxDowntimeMs, underWayMs);
  if (ahead === undefined || !isLastMoment(ahead, { leftMs, downtimeMs })) return undefined;
  const [left, rest, again] = [leftMs, ahead.restMs, ahead.againNowMs].map((ms) =>
    formatDuration(Math.round(ms)),
  );
  const why = `${left} are left; the first round takes ${rest} more, and what was written again of it takes ${again} (${writtenWords(writes)})`;
  return { what: 'postcopy', rule: 'time-left', why, inputs };
}

/** Restores the speed of a guest that now dirties little by itself. */
function speedBack(view: SteeringView, inputs: SteeringInputs): Decision | undefined {
  const { trace, packing = 1 } = view;
  const rate = cautiousRate(view) * packing;
  const { throttlePercent: percent = 0, decidedRound = 0 } = trace ?? {};
  if (percent === 0 || inputs.round <= decidedRound) return undefined;
  const unthrottled = inputs.dirtyRate / (1 - percent / 100);
  if (unthrottled >= rate * QUIET_SHARE) return undefined;
  const change = { of: 'throttlePercent', from: percent, to: 0 } as const;
  const why = `at full speed the guest would dirty ${formatRate(Math.round(unthrottled))} of the link’s ${formatRate(Math.round(rate))}`;
  return { what: 'throttle', rule: 'quiet', why: `${percent} % to 0 %: ${why}`, inputs, change };
}

function nextMeasure(
  strategy: SteeringStrategy,
  view: SteeringView,
  inputs: SteeringInputs,
): Decision | undefined {
  const [first, second] = strategy.measures.flatMap(
    (measure) => decisionFor(measure, strategy, view, inputs) ?? [],
  );
  if (first?.what !== 'downtime' || second?.what !== 'postcopy') return first;
  const longestMs = plannedDowntimeMs(view.settings.maxDowntimeMs, view.underWayMs ?? 0);
  const neededMs = reckonedMs(view);
  const isOutOfReach = neededMs > longestMs * WITHIN_REACH;
  return isOutOfReach && isDue(second, strategy, view, inputs) ? second : first;
}

function decisionFor(
  measure: SteeringMeasure,
  strategy: SteeringStrategy,
  view: SteeringView,
  inputs: SteeringInputs,
): Decision | undefined {
  if (!can(strategy, view, measure)) return undefined;
  const rule = inputs.stalledRounds >= strategy.stalledRounds ? 'stalled' : 'outpaced';
  if (measure === 'postcopy') return { what: 'postcopy', rule, why: wordsOf(inputs), inputs };
  const change =
    measure === 'downtime'
      ? longerDowntime(strategy, view, inputs.expectedDowntimeMs)
      : slower(strategy, view, inputs);
  if (change === undefined) return undefined;
  const unit = measure === 'downtime' ? 'ms' : '%';
  const why = `${change.from} ${unit} to ${change.to} ${unit}: ${wordsOf(inputs)}`;
  return { what: measure, rule, why, inputs, change };
}

/** True if pre-copy does not converge, and the last measure had a full round. */
function isDue(
  { what, rule }: Decision,
  strategy: SteeringStrategy,
  { trace, packing = 1 }: SteeringView,
  inputs: SteeringInputs,
): boolean {
  const { decidedRound = 0 } = trace ?? {};
  if (decidedRound !== 0 && inputs.round <= decidedRound + 1) return false;
  if (rule === 'stalled') return true;
  const { dirtyRate, writeRate = dirtyRate } = inputs;
  if (writeRate < inputs.rate * packing * CONVERGING_SHARE) return false;
  return what !== 'postcopy' || !isTooMuch(strategy, inputs);
}

function isTooMuch(
  { postcopyWithinMs = Infinity }: SteeringStrategy,
  inputs: SteeringInputs,
): boolean {
  return (inputs.remainingBytes / inputs.rate) * 1000 > postcopyWithinMs;
}

/** Smallest sufficient throttle step, if dirtying is proportional to speed. */
function slower(
  { throttlePercents }: SteeringStrategy,
  { trace, packing = 1 }: SteeringView,
  { rate, dirtyRate, writeRate = dirtyRate }: SteeringInputs,
): SteeringChange | undefined {
  const from = trace?.throttlePercent ?? 0;
  const above = throttlePercents.filter((percent) => percent > from);
  const unthrottled = writeRate / (1 - from / 100);
  const needed =
    unthrottled === 0 ? 0 : (1 - (rate * packing * THROTTLED_SHARE) / unthrottled) * 100;
  const to = above.find((percent) => percent >= needed) ?? above.at(-1);
  return to === undefined ? undefined : { of: 'throttlePercent', from, to };
}

function giveUp(
  strategy: SteeringStrategy,
  view: SteeringView,
  inputs: SteeringInputs,
): Decision | undefined {
  const { settings, trace, levers, underWayMs = 0, isBeyond = false, packing = 1 } = view;
  if (strategy.giveUpRounds === undefined || trace === undefined) return undefined;
  const isNearly = inputs.expectedDowntimeMs <= plannedNowMs(strategy, view) * NEARLY;
  const enough = strategy.giveUpRounds + (isNearly ? 1 : 0);
  // A full round at that speed gained nothing, and the next would not either.
  const converging = inputs.rate * packing * CONVERGING_SHARE;
  const isHopeless = isBeyond && inputs.stalledRounds > 0 && inputs.dirtyRate >= converging;
  if (!isHopeless && inputs.stalledRounds < enough) return undefined;
  const { leastBytes, throttlePercent = 0 } = trace;
  const least = formatBytes(leastBytes);
  const why = `${wordsOf(inputs)}; after round ${inputs.round - 1} never less than ${least} remained`;
  const isThrottled = throttlePercent > 0;
  const hint = fixesFor({ settings, inputs, leastBytes, levers, underWayMs, isThrottled });
  return { what: 'give-up', rule: 'exhausted', why, inputs, hint };
}
