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
 * Costs of a memory path learned from this host's moves, as factors on the cost table, so that earlier learning does
 * not count twice. Pure.
 */

const MAX_PROCESSOR = 4;
const MAX_BYTES = 2;
/** Minimum share of the predicted time for processors to count as the bottleneck. */
const MOSTLY = 0.7;
/**
 * Processors count as the cause only if a move took more than this multiple of the link's time, because the link's
 * rate may be off by a tenth. If the link was the predicted bottleneck, the multiple is larger.
 */
const BESIDE_LINK = 1.1;
const BEYOND_LINK = 1.25;
/** Shorter moves show their start more than the cost per byte, ms. */
const MIN_MS = 1000;
/** Maximum share of resent bytes, which grow with the total time and hide the path's ratio. */
const MAX_AGAIN = 0.1;

const COMPRESSING: ReadonlySet<string> = new Set(
  Object.entries(COSTS).flatMap(([name, { ofPacked }]) => (ofPacked === undefined ? [] : [name])),
);

export type CostFactors = Readonly<
  Record<'processor' | 'bytes', { readonly times: number; readonly moves: number }>
>;

/** Costs that a move shows; undefined if it shows none. */
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

/** Other causes of slow memory: disks share the link and the processors; devices, a balloon or a lost link delay it. */
function wasHeldUp({ phases, takeovers, wire, balloon, settings }: Report): boolean {
  return (
    phases.some(({ phase }) => phase === 'disks' || phase === 'seeding') ||
    settings.unplug !== undefined ||
    balloon !== undefined ||
    takeovers > 0 ||
    (wire?.cuts ?? 0) > 0
  );
}

/** `auto` decides again after a plan, and may replace a stream. */
function tookPath({ wire, stream, settings }: Report, { memoryPath }: PredictionCosts): boolean {
  const path = wire === undefined ? 'native' : 'wire';
  return memoryPathOf(path, stream ?? settings, memoryPath === 'known') === memoryPath;
}

interface Came {
  readonly memoryMs: number;
  /** Ratio of actual to predicted bytes. */
  readonly more: number;
  readonly isCapped: boolean;
}

/**
 * Factor on processor time that a move shows. A faster move than predicted proves faster processors, whatever the
 * link did. A slower move proves slower processors only if the link alone would have been faster. If the link
 * explains the time, processors count as no slower than assumed.
 */
function processorTold(
  { memoryMs: said }: Pick<Prediction, 'memoryMs'>,
  { memoryPath, processor: { times: used, share }, bytes, linkShare, alternating }: PredictionCosts,
  { memoryMs, more, isCapped }: Came,
): number | undefined {
  const saidMs = said.middle * share;
  if (memoryMs < MIN_MS || saidMs <= 0) return undefined;
  const linkMs = linkShare === undefined ? undefined : said.middle * linkShare * more;
  // More bytes mean more pages. On a path that compresses they may mean pages that shrink less, so half of each
  // counts. On the wire they prove nothing about pages, because cached pages are sent by name.
  const pages = isByWire(memoryPath) ? 1 : bytes === undefined ? more : Math.sqrt(more);
  const off = (alternating === true ? besideLink(memoryMs, linkMs) : memoryMs) / saidMs / pages;
  const told = Math.max(1 / MAX_PROCESSOR, used * off);
  if (linkMs !== undefined && memoryMs < linkMs * BESIDE_LINK && used > 1) return Math.min(1, told);
  if (off < 1) return told;
  // An unknown link may be the cause.
  if (linkMs === undefined || memoryMs < linkMs * BESIDE_LINK) return undefined;
  if (share >= MOSTLY) return Math.min(MAX_PROCESSOR, told);
  // A cap causes pauses, and a time beyond these bounds has another cause than the processors.
  if (isCapped || memoryMs < linkMs * BEYOND_LINK || told > MAX_PROCESSOR) return undefined;
  return told;
}

/** "No slower than assumed" is only recorded against an earlier slower factor. */
function slowerTold(found: number | undefined, used: number): number | undefined {
  if (found === undefined || (found <= 1 && used <= 1)) return undefined;
  return Math.max(1, found);
}

/** Upper bound of the processors' share of memory's time, ms; see `slower` of a load. */
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
 * Factors on this path's assumed costs: the median of the latest moves (newest first), weighted against the
 * assumption, and fully used once enough moves took the path. Until then, a path that compresses also learns from
 * other such paths, since the hosts are the same.
 */
export function factorsOf(
  memoryPath: string,
  latest: readonly { readonly costs?: ToldCosts | undefined }[],
): CostFactors {
  const told = latest.flatMap(({ costs }) => costs ?? []);
  const own = told.filter((each) => each.memoryPath === memoryPath);
  // Some moves by the wire only show slower processors, and nothing about the hypervisor's compression.
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
