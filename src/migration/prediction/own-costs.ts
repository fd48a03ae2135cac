import { defined } from '../../protocol/defined.ts';
import type { Report } from '../../protocol/public/migration.ts';
import type { Prediction, PredictionCosts, ToldCosts } from '../../protocol/public/prediction.ts';
import { cameTo } from '../report/outcome-figures.ts';
import { isByWire } from './hits.ts';
import { memoryPathOf } from './memory-path.ts';
import { medianOf } from './own-times.ts';
import {
  COSTS,
  ENOUGH_MOVES,
  MAX_LOOKED_AT,
  weightOf,
  type Content,
  type MemoryPath,
} from './parameters.ts';

/**
 * What a path of memory costs on these hosts, by this host's own moves: in times what the table of costs assumes, so that
 * what was learned before does not count twice. Pure.
 */

/** Further off than that from what is assumed nothing is believed. */
const MAX_PROCESSOR = 4;
const MAX_BYTES = 2;
/** Processors that were said to be at work for so much of the time while memory moves bind it. */
const MOSTLY = 0.7;
/**
 * So many times what the link alone would take a move must have taken, before its processors are said to be why: the link
 * may be off by a tenth. More, where the link was said to bind it.
 */
const BESIDE_LINK = 1.1;
const BEYOND_LINK = 1.25;
/** What is shorter shows its start more than what a byte takes, ms. */
const MIN_MS = 1000;
/** What is sent again grows with the time that all takes: where more than this share may be, bytes say nothing of the path. */
const MAX_AGAIN = 0.1;

const COMPRESSING: ReadonlySet<string> = new Set(
  Object.entries(COSTS).flatMap(([name, { ofPacked }]) => (ofPacked === undefined ? [] : [name])),
);

/** What to multiply by what is assumed of a path, and how many moves say so. */
export type CostFactors = Readonly<
  Record<'processor' | 'bytes', { readonly times: number; readonly moves: number }>
>;

/** What a move told of its path's costs; undefined where it told nothing. */
export function toldBy(report: Report): ToldCosts | undefined {
  const { prediction, finished, settings } = report;
  const costs = prediction?.costs;
  if (prediction === undefined || costs === undefined) return undefined;
  if (finished !== 'precopy' || wasHeldUp(report) || !tookPath(report, costs)) return undefined;
  const { memoryMs = 0, bytes = 0 } = cameTo(report);
  const { bytes: said, memoryMs: saidMs } = prediction;
  if (Math.min(memoryMs, bytes, said.middle, saidMs.middle) <= 0) return undefined;
  const isCapped = settings.maxBandwidth !== undefined;
  const came = { memoryMs, more: bytes / said.middle, isCapped };
  const found = processorTold(prediction, costs, came);
  const processor = costs.onlySlower === true ? slowerTold(found, costs.processor.times) : found;
  const sent = bytesTold(prediction, costs, came);
  if (processor === undefined && sent === undefined) return undefined;
  return {
    memoryPath: costs.memoryPath,
    ...defined({ processor, bytes: sent }),
  };
}

/** Disks take a part of the link and the processors; devices, a balloon, a lost link and a lost mover take time of memory's. */
function wasHeldUp({ phases, takeovers, wire, balloon, settings }: Report): boolean {
  return (
    phases.some(({ phase }) => phase === 'disks' || phase === 'seeding') ||
    settings.unplug !== undefined ||
    balloon !== undefined ||
    takeovers > 0 ||
    (wire?.cuts ?? 0) > 0
  );
}

/** `auto` decides anew after a plan, and a stream that a hypervisor cannot send is given up for a plain one. */
function tookPath({ wire, stream, settings }: Report, { memoryPath }: PredictionCosts): boolean {
  const path = wire === undefined ? 'native' : 'wire';
  return memoryPathOf(path, stream ?? settings, memoryPath === 'known') === memoryPath;
}

interface Came {
  readonly memoryMs: number;
  /** Bytes, in times what was said. */
  readonly more: number;
  readonly isCapped: boolean;
}

/**
 * A move cannot have taken less than its processors did: that it took less than they were said to take holds whatever the
 * link did. That it took more says so only where the link alone would have taken less. Where the link explains all of it,
 * processors are taken for no slower than is assumed: one odd move is not believed for ever.
 */
function processorTold(
  { memoryMs: said }: Pick<Prediction, 'memoryMs'>,
  { memoryPath, processor: { times: used, share }, bytes, linkShare, alternating }: PredictionCosts,
  { memoryMs, more, isCapped }: Came,
): number | undefined {
  const saidMs = said.middle * share;
  if (memoryMs < MIN_MS || saidMs <= 0) return undefined;
  const linkMs = linkShare === undefined ? undefined : said.middle * linkShare * more;
  // More bytes are more pages. By a path that compresses they may as well be pages that shrink less: half of each counts.
  // By the wire they say nothing of pages: of one that a cache has only its name is sent.
  const pages = isByWire(memoryPath) ? 1 : bytes === undefined ? more : Math.sqrt(more);
  const off = (alternating === true ? besideLink(memoryMs, linkMs) : memoryMs) / saidMs / pages;
  const told = Math.max(1 / MAX_PROCESSOR, used * off);
  if (linkMs !== undefined && memoryMs < linkMs * BESIDE_LINK && used > 1) return Math.min(1, told);
  if (off < 1) return told;
  // A link that nobody knew may be why.
  if (linkMs === undefined || memoryMs < linkMs * BESIDE_LINK) return undefined;
  if (share >= MOSTLY) return Math.min(MAX_PROCESSOR, told);
  // A cap is kept to with pauses; and what processors cannot be why of, something else was.
  if (isCapped || memoryMs < linkMs * BEYOND_LINK || told > MAX_PROCESSOR) return undefined;
  return told;
}

/** That it was no slower than assumed is told only against what said that it was: an odd move is forgotten. */
function slowerTold(found: number | undefined, used: number): number | undefined {
  if (found === undefined || (found <= 1 && used <= 1)) return undefined;
  return Math.max(1, found);
}

/** Of the time that memory took, what its processors alone would have taken, at the most, ms: see `slower` of a load. */
function besideLink(memoryMs: number, linkMs = 0): number {
  if (memoryMs < linkMs * BESIDE_LINK) return memoryMs;
  return Math.sqrt(memoryMs ** 2 - linkMs ** 2);
}

function bytesTold(
  { memoryMs: said }: Pick<Prediction, 'memoryMs'>,
  { bytes }: PredictionCosts,
  { memoryMs, more }: Came,
): number | undefined {
  if (bytes === undefined) return undefined;
  const { times: used, firstShare } = bytes;
  const again = (1 - firstShare) * Math.max(1, memoryMs / said.middle);
  if (again > MAX_AGAIN) return undefined;
  return Math.min(MAX_BYTES, Math.max(1 / MAX_BYTES, used * more));
}

/**
 * What to multiply by what is assumed of this path: towards the median of what the latest moves told (newest first), as far
 * as these outweigh what is assumed, and all the way once enough of them took the same path. Until then moves by other
 * paths that compress tell of this one's processors, too, where it compresses: the hosts are the same.
 */
export function factorsOf(
  memoryPath: string,
  latest: readonly { readonly costs?: ToldCosts | undefined }[],
): CostFactors {
  const told = latest.flatMap(({ costs }) => costs ?? []);
  const own = told.filter((each) => each.memoryPath === memoryPath);
  // Of the wire some moves tell only where it was slower: that says nothing of the hypervisor's own compression.
  const compressing = told.filter(
    (each) =>
      COMPRESSING.has(each.memoryPath) && (isByWire(memoryPath) || !isByWire(each.memoryPath)),
  );
  const alike = COMPRESSING.has(memoryPath) ? compressing : own;
  const processors = (all: readonly ToldCosts[]) => all.flatMap(({ processor }) => processor ?? []);
  const bytes = own.flatMap((each) => each.bytes ?? []);
  return {
    processor: factorOf(processors(own), processors(alike)),
    bytes: factorOf(bytes, bytes),
  };
}

function factorOf(own: readonly number[], alike: readonly number[]): CostFactors['processor'] {
  const isEnough = own.length >= ENOUGH_MOVES;
  const latest = (isEnough ? own : alike).slice(0, MAX_LOOKED_AT);
  const moves = latest.length;
  if (moves === 0) return { times: 1, moves };
  return { times: medianOf(latest) ** (isEnough ? 1 : weightOf(moves)), moves };
}

const WORDS: Readonly<Record<Exclude<MemoryPath, Content>, string>> = {
  plain: 'one plain stream',
  several: 'several plain streams',
  packed: 'zstd',
  packed3: 'zstd 3',
  packed9: 'zstd 9',
  xbzrle: 'XBZRLE',
  cold: 'the wire',
  known: 'the wire with caches that know the guest',
};

/** What own moves made of what is assumed, in words; empty where that stays as it is. */
export function costsLines(
  { memoryPath, processor, bytes }: PredictionCosts,
  to: string,
): string[] {
  const name = Object.entries(WORDS).find(([path]) => path === memoryPath)?.[1] ?? memoryPath;
  const line = (does: string, { times, moves }: CostFactors['bytes'], what: string): string[] => {
    const shown = times.toFixed(1);
    if (moves === 0 || shown === '1.0') return [];
    const by = moves === 1 ? `a move to ${to}` : `${moves} moves to ${to}`;
    return [`${name} ${does} ${shown} times the ${what} assumed: ${by}`];
  };
  return [
    ...line('takes', processor, 'processor time that is'),
    ...(bytes === undefined ? [] : line('sends', bytes, 'bytes that are')),
  ];
}
