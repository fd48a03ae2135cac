import type { Compression, StreamMode } from '../../protocol/public/migration.ts';
import type { PlanOption } from '../../protocol/public/plan.ts';
import { formatBytes, formatDuration, formatRate } from '../../protocol/quantity.ts';
import type { Capabilities } from '../preflight/capabilities.ts';
import { ownThrottle } from '../steering/own-throttle.ts';
import { strategyOf } from '../steering/strategies.ts';
import { SEVERAL_STREAMS, PACKED_STREAM, PACKED3_STREAM, PACKED9_STREAM } from './data-path.ts';
import type { Facts } from './facts.ts';
import { SURE, type Content } from './parameters.ts';
import { memoryPathOf } from './memory-path.ts';
import { predict } from './predict.ts';

export interface OptionSettings {
  readonly mode: StreamMode;
  readonly path: 'native' | 'wire';
  readonly stream: {
    readonly streams: number;
    readonly compress: Compression;
    readonly compressLevel?: number | undefined;
  };
}

export interface PlanFacts extends Omit<Facts, 'memoryPath' | 'levers' | 'rounds'> {
  readonly asked: OptionSettings;
  readonly capabilities: Pick<
    Capabilities,
    'modes' | 'compression' | 'compressLevels' | 'maxStreams' | 'levers' | 'rounds'
  > &
    Partial<Pick<Capabilities, 'shape' | 'throttlesItself'>>;
  readonly hasWire: boolean;
  /** Both hosts' caches know the guest; used if the sample does not show the destination's share. */
  readonly knowsGuest: boolean;
  readonly copiesDisks: boolean;
  /** Device state sent during the pause, as reported by device drivers. */
  readonly stateBytes: number;
}

/**
 * Factor on the measured rate that a link may reach within a second or two. An earlier migration's rate has no such
 * bound.
 */
const MAX_LINK_RATIO = { measured: 1.5, configured: 1.5, seen: Infinity } as const;

/** An option below this probability may well not end. */
const HARDLY = 0.5;
/** An option that can be rolled back wins within this factor of the fastest time. */
const NEARLY_AS_SOON = 1.1;
/** An option is mentioned if its time is below this share. */
const WORTH = 0.7;
const DOWNTIMES_MS = [200, 300, 500, 1000, 2000, 5000, 10_000] as const;
const PLAIN = { streams: 1, compress: 'none' } as const;
/** Assumption for a guest that a manager moves. */
const BY_MANAGER =
  'its manager moves it: the rounds are those of QEMU’s pre-copy, and the link is taken to be that between the agents';

export type OptionFacts = Omit<
  PlanFacts,
  'capabilities' | 'hasWire' | 'copiesDisks' | 'stateBytes'
> & {
  readonly capabilities: Pick<Capabilities, 'levers' | 'rounds'> &
    Partial<Pick<Capabilities, 'shape'>>;
};

export function unpredicted(
  { rounds }: Pick<Capabilities, 'rounds'>,
  mode: StreamMode,
): string | undefined {
  if (rounds !== 'content' || mode === 'precopy') return undefined;
  return `for how long its guests are paused by --mode ${mode} is not known: only pre-copy is predicted`;
}

export function planned(facts: OptionFacts): PlanOption {
  return optionOf(facts, facts.asked);
}

/**
 * Other options of the guest's driver that converge, fastest first. Excludes XBZRLE: its gain depends on the share of
 * written memory in QEMU's cache, which a sample does not show.
 */
export function others(facts: PlanFacts): PlanOption[] {
  const { capabilities, hasWire, asked } = facts;
  const all: OptionSettings[] = [
    { mode: 'precopy', path: 'native', stream: PLAIN },
    { mode: 'precopy', path: 'native', stream: SEVERAL_STREAMS },
    { mode: 'precopy', path: 'native', stream: PACKED_STREAM },
    { mode: 'precopy', path: 'native', stream: PACKED3_STREAM },
    { mode: 'precopy', path: 'native', stream: PACKED9_STREAM },
    { mode: 'hybrid', path: 'native', stream: PLAIN },
    { mode: 'postcopy', path: 'native', stream: PLAIN },
    { mode: 'precopy', path: 'wire', stream: PLAIN },
    { mode: 'postcopy', path: 'wire', stream: PLAIN },
  ];
  const can = ({ mode, path, stream }: OptionSettings): boolean =>
    capabilities.modes.includes(mode) &&
    unpredicted(capabilities, mode) === undefined &&
    capabilities.compression.includes(stream.compress) &&
    (stream.compressLevel === undefined || capabilities.compressLevels === true) &&
    stream.streams <= capabilities.maxStreams &&
    (path === 'native' || hasWire);
  return all
    .filter((each) => can(each) && nameOf(each) !== nameOf(asked))
    .map((each) =>
      optionOf({ ...facts, settings: { ...facts.settings, steering: undefined } }, each),
    )
    .toSorted(byBest);
}

function bestOf(rest: readonly PlanOption[]): PlanOption | undefined {
  const [soonest] = rest;
  if (soonest === undefined) return undefined;
  return (
    rest.find(({ mode, converges, totalMs }) => {
      const isNear = totalMs.middle <= soonest.totalMs.middle * NEARLY_AS_SOON;
      return mode === 'precopy' && converges.probability >= SURE && isNear;
    }) ?? soonest
  );
}

/** Advice with figures; omissions of the plan come last. */
export function adviceFor(
  facts: PlanFacts,
  option: PlanOption,
  rest: readonly PlanOption[],
): string[] {
  const tight = tightTime(facts);
  const advice = tight === undefined ? [] : [tight];
  const { probability } = option.converges;
  const mayFail = probability < SURE;
  if (mayFail) {
    const enough = option.mode === 'precopy' ? downtimeThatEnds(facts) : undefined;
    if (enough !== undefined)
      advice.push(`--max-downtime ${enough}ms would let it end in ${percent(SURE)} of cases`);
    const { converges, totalMs } = optionOf(withoutTimeout(facts), facts.asked);
    if (converges.probability >= SURE)
      advice.push(`it would end within ${formatDuration(totalMs.high)}: allow it that long`);
  }
  const best = bestOf(rest);
  if (best !== undefined && best.converges.probability >= SURE) {
    const [soon, now] = [best.totalMs.middle, option.totalMs.middle];
    const took = `${formatDuration(soon)}, where this one takes ${formatDuration(now)}`;
    const name = nameOf(best) + insteadOf(facts.settings);
    const after = noRollback(best);
    if (mayFail)
      advice.push(
        `${name} ends: ${formatDuration(soon)}, ${formatBytes(best.bytes.middle)}${after}`,
      );
    else if (soon < now * WORTH) advice.push(`${name} is predicted to take ${took}${after}`);
  }
  const { link, settings } = facts;
  const { low } = option.downtimeMs;
  if (option.mode === 'precopy' && option.converges.probability > 0 && low > settings.maxDowntimeMs)
    advice.push(
      `the guest is predicted to be paused for ${formatDuration(low)} at least, and ${formatDuration(settings.maxDowntimeMs)} are allowed: the switch itself takes that long`,
    );
  if (link === undefined && settings.maxBandwidth === undefined)
    advice.push('the link is not known: the times are those of the processors alone');
  if (facts.capabilities.shape === 'managed') advice.push(BY_MANAGER);
  if (facts.capabilities.throttlesItself === true && ownThrottle(strategyOf(settings), option.mode))
    advice.push('its manager slows the guest down by itself, which is not in these figures');
  if (facts.mix === undefined)
    advice.push('nobody could look at its pages: zero and compressible ones are not reckoned with');
  if (facts.capabilities.rounds === 'content')
    advice.push(
      'pages that the destination has kept of it, and its files, are not in these figures',
    );
  if (option.stream.compress === 'xbzrle')
    advice.push('what XBZRLE saves of pages that are sent again is assumed, and not measured');
  if (facts.copiesDisks && facts.disks === undefined)
    advice.push('its disks are copied first, which is not in these figures');
  return advice.slice(0, 16);
}

/** A strategy decides the mode, so both together are refused. */
function insteadOf({ steering }: PlanFacts['settings']): string {
  if (steering === undefined) return '';
  return ` instead of ${typeof steering === 'string' ? `--steering ${steering}` : '--steering-file'}`;
}

const noRollback = ({ mode }: OptionSettings): string =>
  mode === 'precopy' ? '' : '; there is no rollback once post-copy has begun';

/** Flags that request the option, for tables and advice. */
export function nameOf({ mode, path, stream }: OptionSettings): string {
  const parts = [`--mode ${mode}`];
  if (path === 'wire') parts.push('--path wire');
  if (stream.streams > 1) parts.push(`--streams ${stream.streams}`);
  if (stream.compress !== 'none') parts.push(`--compress ${stream.compress}`);
  if (stream.compressLevel !== undefined) parts.push(`--compress-level ${stream.compressLevel}`);
  return parts.join(' ');
}

/** Proof that limits contradict each other, which refuses the plan. */
export function contradiction(
  facts: PlanFacts,
  option: PlanOption,
): { readonly what: string; readonly hint: string } | undefined {
  const stop = tooShortStop(facts);
  if (stop !== undefined) return { what: stop, hint: MORE_DOWNTIME };
  const time = tooShortTime(facts, option);
  return time === undefined ? undefined : { what: time, hint: MORE_TIME };
}

const MORE_DOWNTIME =
  'Allow a longer --max-downtime, or unplug the devices for the move (--unplug).';
const MORE_TIME =
  'Give it more time (--give-up-after, --deadline), or more of the link (--max-bandwidth, --link-share), where you bound that.';

/** The hypervisor stops the guest only if the remainder fits into the limit. */
function tooShortStop({ link, settings, stateBytes }: PlanFacts): string | undefined {
  const { mode, maxDowntimeMs, maxBandwidth = Infinity } = settings;
  if (mode !== 'precopy') return undefined;
  const most = isBound(link) ? link.rate * MAX_LINK_RATIO[link.how] : Infinity;
  const rate = Math.min(most, maxBandwidth);
  const leastMs = (stateBytes / rate) * 1000;
  if (!(leastMs > maxDowntimeMs)) return undefined;
  return `${formatBytes(stateBytes)} of device state at ${formatRate(rate)} at most take ${formatDuration(leastMs)} while the guest is stopped, and ${formatDuration(maxDowntimeMs)} are allowed`;
}

/** The measured rate is an upper bound. */
function isBound(link: PlanFacts['link']): link is NonNullable<PlanFacts['link']> {
  return link !== undefined && link.isLeast !== true;
}

function tooShortTime(facts: PlanFacts, option: PlanOption): string | undefined {
  const { link, settings } = facts;
  const rate = Math.min(isBound(link) ? link.rate : Infinity, settings.maxBandwidth ?? Infinity);
  const pass = option.converges.probability > 0 ? undefined : tooLongPass(facts, rate);
  if (pass === undefined) return undefined;
  return `${formatBytes(pass.bytes)} at ${formatRate(rate)} take ${formatDuration(pass.ms)}, and ${formatDuration(settings.timeoutMs)} are allowed`;
}

function tightTime(facts: PlanFacts): string | undefined {
  const { link, settings } = facts;
  const { timeoutMs, maxBandwidth = Infinity } = settings;
  if (link?.isLeast !== true || link.rate > maxBandwidth) return undefined;
  const pass = tooLongPass(facts, link.rate);
  if (pass === undefined) return undefined;
  return `one pass takes ${formatDuration(pass.ms)} by a link of at least ${formatRate(link.rate)}, and ${formatDuration(timeoutMs)} are allowed`;
}

function withoutTimeout(facts: PlanFacts): PlanFacts {
  return { ...facts, settings: { ...facts.settings, timeoutMs: Number.MAX_SAFE_INTEGER } };
}

function tooLongPass(
  facts: PlanFacts,
  rate: number,
): { readonly bytes: number; readonly ms: number } | undefined {
  const { timeoutMs, mode } = facts.settings;
  // Post-copy begins after the first pass at the earliest, unless the mode is post-copy.
  if (mode === 'postcopy' || !Number.isFinite(rate)) return undefined;
  // Use the model alone; past moves do not give a lower bound.
  const least = { ...withoutTimeout(facts), curve: [], ownMoves: undefined };
  const bytes = optionOf(least, facts.asked).bytes.low;
  const ms = (bytes / rate) * 1000;
  return ms <= timeoutMs ? undefined : { bytes, ms };
}

function optionOf(facts: OptionFacts, asked: OptionSettings): PlanOption {
  const settings = { ...facts.settings, mode: asked.mode };
  const { levers, rounds, shape } = facts.capabilities;
  const memoryPath =
    rounds === 'content'
      ? contentOf(asked)
      : memoryPathOf(asked.path, asked.stream, facts.knowsGuest);
  const found = predict({ ...facts, settings, levers, rounds, shape, memoryPath });
  return { ...found, mode: asked.mode, path: asked.path, stream: { ...asked.stream } };
}

const contentOf = ({ stream }: OptionSettings): Content =>
  stream.compress === 'none' ? 'content' : 'contentPacked';

function byBest(left: PlanOption, right: PlanOption): number {
  const rank = ({ converges: { probability } }: PlanOption): number =>
    probability >= SURE ? 0 : probability >= HARDLY ? 1 : 2;
  return rank(left) - rank(right) || left.totalMs.middle - right.totalMs.middle;
}

function downtimeThatEnds(facts: PlanFacts): number | undefined {
  const { maxDowntimeMs } = facts.settings;
  return DOWNTIMES_MS.find((each) => {
    if (each <= maxDowntimeMs) return false;
    const settings = { ...facts.settings, maxDowntimeMs: each };
    return optionOf({ ...facts, settings }, facts.asked).converges.probability >= SURE;
  });
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;
