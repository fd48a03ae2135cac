import type { ChosenStream, MigrationSettings } from '../../protocol/public/migration.ts';
import type { LinkMeasure, PageMix } from '../../protocol/public/prediction.ts';
import { formatBytes, formatDuration, formatRate } from '../../protocol/quantity.ts';
import { WIRE_VERSION, type WireOffer } from '../../protocol/wire.ts';
import { isByWire } from './hits.ts';
import { factorsOf } from './own-costs.ts';
import type { Facts } from './facts.ts';
import { MORE_THAN_GIGABIT, type Content, type MemoryPath } from './parameters.ts';
import { expected } from './predict.ts';
import { isThere } from './rounds.ts';

/** Chooses memory's data path, before anything is prepared. Pure. */

export interface DataPathFacts {
  /** Absent if this host has no wire. */
  readonly own: Pick<WireOffer, 'cores' | 'load' | 'knowsGuest'> | undefined;
  /** The guest's hypervisor can open this mover's sockets: it runs as its user, or as root. */
  readonly reachable: boolean;
  /** Absent if the destination has no wire. */
  readonly offer: WireOffer | undefined;
  /** The hosts only reach each other through a relay, which a hypervisor's stream cannot use. */
  readonly byRelay?: boolean;
  readonly memoryBytes: number;
  /** Link capacity, bytes/s; undefined if unknown. */
  readonly linkBytesPerS: number | undefined;
  readonly linkIsLeast?: boolean;
  /** Smaller rate that was measured, bytes/s; the agents were too busy to fill the link. */
  readonly seenBytesPerS?: number | undefined;
  /** Absent: the guest is taken to write nothing, and its pages are unknown. */
  readonly measured?: Pick<Facts, 'curve' | 'mix' | 'hintedFreeBytes'> | undefined;
  /** This host's latest migrations to that host, newest first: the costs of each path. */
  readonly ownMoves?: Facts['ownMoves'];
}

export type DataPathChoice =
  | { readonly takes: 'wire'; readonly why: string }
  /** `stream`: hypervisor's stream settings, if they differ from the request. */
  | { readonly takes: 'native'; readonly why: string; readonly stream?: ChosenStream }
  | { readonly takes: 'neither'; readonly reason: string };

export const SEVERAL_STREAMS: ChosenStream = { streams: 4, compress: 'none' };
export const PACKED_STREAM: ChosenStream = { streams: 4, compress: 'zstd' };
export const PACKED3_STREAM: ChosenStream = { ...PACKED_STREAM, compressLevel: 3 };
export const PACKED9_STREAM: ChosenStream = { ...PACKED_STREAM, compressLevel: 9 };
/** Paths within this factor of the fastest are compared by bytes. The time around memory is the same on each. */
const NEAR = 1.1;
/** Paths within this factor of the fewest bytes: the simplest wins. */
const ALIKE = 1.05;

export function wireObstacle(
  { streams, compress }: Pick<MigrationSettings, 'streams' | 'compress'>,
  { own, offer, reachable }: Pick<DataPathFacts, 'own' | 'offer' | 'reachable'>,
): string | undefined {
  if (own === undefined) return 'this host does not offer the wire';
  if (!reachable) return 'its hypervisor runs as another user, who cannot reach the mover';
  if (offer === undefined) return 'the destination does not offer the wire';
  if (offer.version !== WIRE_VERSION) {
    return `the destination speaks version ${offer.version} of the wire, this host ${WIRE_VERSION}`;
  }
  if (compress !== 'none')
    return `it compresses by itself, and --compress ${compress} was asked for`;
  return streams > 1 ? `it takes one stream, and --streams ${streams} was asked for` : undefined;
}

export function decideDataPath(settings: MigrationSettings, facts: DataPathFacts): DataPathChoice {
  const asked = settings.path ?? 'native';
  if (facts.byRelay === true) {
    const reason = wireObstacle(settings, facts);
    if (reason !== undefined) return { takes: 'neither', reason };
    return { takes: 'wire', why: 'the hosts reach each other through a relay alone' };
  }
  if (asked === 'native') return { takes: 'native', why: 'it was asked for' };
  const obstacle = wireObstacle(settings, facts);
  if (asked === 'auto') return predicted(settings, facts, obstacle);
  if (obstacle !== undefined) return { takes: 'neither', reason: obstacle };
  return { takes: 'wire', why: 'it was asked for' };
}

/** True if page contents affect the choice: several paths are open, and the link is known. */
export function goesByPages(settings: MigrationSettings, facts: DataPathFacts): boolean {
  if (settings.path !== 'auto' || facts.byRelay === true || asksForStream(settings)) return false;
  if (!Number.isFinite(linkOf(settings, facts))) return false;
  return settings.mode === 'precopy' || wireObstacle(settings, facts) === undefined;
}

/** Minimum measured rate of an unfilled link that is assumed to be fast, bytes/s: 400 Mbit/s. */
const AMPLE_SEEN = 50_000_000;
/** Assumed rate of such a link, bytes/s: 10 Gbit/s. */
const AMPLE = 1_250_000_000;

/**
 * Link rate for `auto` if none is configured. Taking 1 Gbit/s for 10 cost 1.3 times the time, and trusting the rate
 * that two busy agents measured on an unlimited link, twice (bench/results/prediction.md). Slower measurements
 * are used as they are.
 */
export function linkToChooseBy(
  link: Pick<LinkMeasure, 'rate' | 'how' | 'isLeast'> | undefined,
): Pick<DataPathFacts, 'linkBytesPerS' | 'linkIsLeast' | 'seenBytesPerS'> {
  if (link === undefined) return { linkBytesPerS: undefined };
  const { rate, how, isLeast = false } = link;
  // An earlier migration may have reached the link's full rate.
  const ample = how === 'seen' ? MORE_THAN_GIGABIT : AMPLE_SEEN;
  if (!isLeast || rate < ample || rate >= AMPLE)
    return { linkBytesPerS: rate, ...(isLeast ? { linkIsLeast: true } : {}) };
  return { linkBytesPerS: AMPLE, seenBytesPerS: rate };
}

const asksForStream = ({ streams, compress }: MigrationSettings): boolean =>
  streams > 1 || compress !== 'none';

/** Rate available to memory, bytes/s; Infinity if unknown. */
const linkOf = ({ maxBandwidth }: MigrationSettings, { linkBytesPerS }: DataPathFacts): number =>
  Math.min(linkBytesPerS ?? Infinity, maxBandwidth ?? Infinity);

function predicted(
  settings: MigrationSettings,
  facts: DataPathFacts,
  obstacle: string | undefined,
): DataPathChoice {
  if (asksForStream(settings)) {
    return { takes: 'native', why: obstacle ?? 'it was asked to compress by itself' };
  }
  const { own, offer } = facts;
  const link = linkOf(settings, facts);
  if (!Number.isFinite(link)) {
    return { takes: 'native', why: obstacle ?? 'the rate of the link is not known' };
  }
  const known = own?.knowsGuest === true && offer?.knowsGuest === true;
  const looked = facts.measured?.mix !== undefined;
  const memoryPaths = candidatesFor(settings, { mayWire: obstacle === undefined, known, looked });
  const found = reckon(memoryPaths, settings, facts);
  const ends = found.some(({ memoryMs }) => Number.isFinite(memoryMs));
  // If no path would end, compare the time of one pass.
  const idle = { ...facts, measured: { ...facts.measured, curve: [] } };
  const reckoned = ends ? found : reckon(memoryPaths, settings, idle);
  const { seenBytesPerS, measured } = facts;
  const seen = seenBytesPerS !== undefined && seenBytesPerS < link ? seenBytesPerS : undefined;
  const why = reasonOf(reckoned, { link, seen, obstacle, ends, mix: measured?.mix });
  const { takes, stream } = bestOf(reckoned);
  if (takes === 'wire' || stream === undefined) return { takes, why };
  return { takes, why, stream };
}

interface Candidate {
  readonly memoryPath: Exclude<MemoryPath, 'xbzrle' | Content>;
  readonly takes: 'wire' | 'native';
  readonly stream?: ChosenStream;
}

interface CandidateEstimate extends Candidate {
  /** Time of memory; Infinity: it does not converge. */
  readonly memoryMs: number;
  readonly bytes: number;
  /** Factor on the assumed processor time, from this host's moves; 1: none. */
  readonly times: number;
}

/**
 * Simplest first. Level 9 needs the most processor time and is only chosen for sampled pages, which may not shrink.
 * Post-copy uses several streams on QEMU 10.1 and later only. XBZRLE is never chosen: its gain depends on the share
 * of written memory in QEMU's cache, which was not measured.
 */
function candidatesFor(
  { mode }: Pick<MigrationSettings, 'mode'>,
  { mayWire, known, looked }: Record<'mayWire' | 'known' | 'looked', boolean>,
): Candidate[] {
  const ofPrecopy: readonly Candidate[] = [
    { memoryPath: 'several', takes: 'native', stream: SEVERAL_STREAMS },
    { memoryPath: 'packed', takes: 'native', stream: PACKED_STREAM },
    { memoryPath: 'packed3', takes: 'native', stream: PACKED3_STREAM },
    ...(looked
      ? [{ memoryPath: 'packed9', takes: 'native', stream: PACKED9_STREAM } as const]
      : []),
  ];
  return [
    { memoryPath: 'plain', takes: 'native' },
    ...(mode === 'precopy' ? ofPrecopy : []),
    ...(mayWire ? [{ memoryPath: known ? 'known' : 'cold', takes: 'wire' } as const] : []),
  ];
}

function reckon(
  memoryPaths: readonly Candidate[],
  settings: MigrationSettings,
  { memoryBytes, own, offer, linkBytesPerS, linkIsLeast, measured, ownMoves }: DataPathFacts,
): CandidateEstimate[] {
  const hosts = [own, offer].filter((side) => side !== undefined);
  const processors = hosts.length === 0 ? [{ cores: 1 }] : hosts;
  const { curve = [], mix, hintedFreeBytes } = measured ?? {};
  // The fastest path is sought, however long it takes.
  const asked = { ...settings, timeoutMs: Number.MAX_SAFE_INTEGER };
  // A cap is kept exactly, so nothing waits for the link.
  const link =
    linkBytesPerS === undefined
      ? undefined
      : ({ rate: linkBytesPerS, how: 'configured', isLeast: linkIsLeast } as const);
  const guest = { memoryBytes, curve, mix, hintedFreeBytes, ownMoves };
  return memoryPaths.map((each) => {
    const facts = { ...guest, link, processors, memoryPath: each.memoryPath, settings: asked };
    const { rounds } = expected(facts);
    const ends = isThere(rounds);
    const { times } = factorsOf(each.memoryPath, ownMoves ?? []).processor;
    return { ...each, memoryMs: ends ? rounds.memoryMs : Infinity, bytes: rounds.bytes, times };
  });
}

/** Simplest of the paths that are nearly as fast as the fastest and send the fewest bytes. */
function bestOf(reckoned: readonly CandidateEstimate[]): CandidateEstimate {
  const soonest = Math.min(...reckoned.map(({ memoryMs }) => memoryMs));
  const near = reckoned.filter(({ memoryMs }) => memoryMs <= soonest * NEAR);
  const least = Math.min(...near.map(({ bytes }) => bytes));
  const best = near.find(({ bytes }) => bytes <= least * ALIKE);
  if (best === undefined) throw new TypeError('no path is as soon as the soonest');
  return best;
}

const WORDS: Readonly<Record<Candidate['memoryPath'], string>> = {
  plain: 'from hypervisor to hypervisor',
  several: `over ${SEVERAL_STREAMS.streams} streams`,
  packed: `with its zstd over ${PACKED_STREAM.streams} streams`,
  packed3: 'with zstd 3',
  packed9: 'with zstd 9',
  cold: 'by the wire',
  known: 'by the wire, whose caches know the guest',
};

function wordsOf(memoryPath: Candidate['memoryPath'], mix: PageMix | undefined): string {
  if (!isByWire(memoryPath) || mix?.known === undefined) return WORDS[memoryPath];
  return `by the wire, whose cache there has ${Math.round(mix.known.share * 100)} % of it`;
}

interface PathExplanation {
  readonly link: number;
  /** Lower bound of the link; absent: it is known. */
  readonly seen: number | undefined;
  readonly obstacle: string | undefined;
  readonly ends: boolean;
  readonly mix: PageMix | undefined;
}

function reasonOf(
  reckoned: readonly CandidateEstimate[],
  { link, seen, obstacle, ends, mix }: PathExplanation,
): string {
  const paths = reckoned.map(({ memoryPath, memoryMs, bytes, times }) => {
    const shown = times.toFixed(1);
    const learned = shown === '1.0' ? '' : ` (${shown} times the processor time assumed)`;
    const words = `${wordsOf(memoryPath, mix)}${learned}`;
    // The bytes of a path that does not end are meaningless.
    if (!Number.isFinite(memoryMs)) return `no end ${words}`;
    return `${formatDuration(Math.round(memoryMs))} and ${formatBytes(Math.round(bytes))} ${words}`;
  });
  const begins = ends
    ? 'memory is predicted to take'
    : 'no path is predicted to end; if the guest wrote nothing, memory would take';
  const not = obstacle === undefined ? '' : `; not by the wire: ${obstacle}`;
  const over =
    seen === undefined
      ? `at ${formatRate(link)}`
      : `over a link that carries ${formatRate(seen)} at the least, as over ${formatRate(link)},`;
  return `${over} ${begins} ${paths.join(', ')}${not}`;
}
