import type { ChosenStream, MigrationSettings } from '../../protocol/public/migration.ts';
import { formatDuration, formatRate } from '../../protocol/quantity.ts';
import type { WireOffer } from '../../protocol/wire.ts';
import { WIRE_VERSION } from '../../protocol/wire.ts';

/** Which data path memory takes, decided before anything is prepared. Pure. */

/** What is known when it is decided. */
export interface PathFacts {
  /** Absent where this host has no wire. */
  readonly own: Pick<WireOffer, 'cores' | 'knowsGuest'> | undefined;
  /** Whether the guest's hypervisor may open a socket of this mover's: it runs as the same user, or as root. */
  readonly reachable: boolean;
  /** Absent where the destination has none. */
  readonly offer: WireOffer | undefined;
  readonly memoryBytes: number;
  /** What the link between the hosts carries, bytes/s; undefined where nobody knows. */
  readonly linkBytesPerS: number | undefined;
}

export type PathChoice =
  | { readonly takes: 'wire'; readonly why: string }
  /** `stream`: how the hypervisor sends it, where that is not what the settings say. */
  | { readonly takes: 'native'; readonly why: string; readonly stream?: ChosenStream }
  | { readonly takes: 'neither'; readonly reason: string };

/**
 * What a path makes of guest memory: bytes over the link for each byte, seconds of one processor for each GB,
 * rounded from the times that a busy machine of two took (docs/measurements/wire.md), and how many processors it has work for.
 */
interface Cost {
  readonly share: number;
  readonly secondsPerGb: number;
  readonly mostCores: number;
}
/** One thread finds the pages and encrypts them. */
const PLAIN: Cost = { share: 1, secondsPerGb: 3, mostCores: 1 };
const SEVERAL: Cost = { share: 1, secondsPerGb: 2, mostCores: 4 };
/** The hypervisor's own compression, over several streams. */
const PACKED: Cost = { share: 0.4, secondsPerGb: 3, mostCores: 4 };
/** Of the wire one thread tells the pages, others compress. */
const COLD: Cost = { share: 0.35, secondsPerGb: 10, mostCores: 2 };
const KNOWN: Cost = { share: 0.05, secondsPerGb: 5.5, mostCores: 2 };
/** As many as QEMU is given on links that are worth it. */
export const SEVERAL_STREAMS: ChosenStream = { streams: 4, compress: 'none' };
/** With QEMU's quickest level. */
export const PACKED_STREAM: ChosenStream = { streams: 4, compress: 'zstd' };
/** What a path must save of a simpler one's time: the prediction is a rough one, and simpler is better. */
const LEAST_GAIN = 0.7;
const GB = 1e9;

/** Why the wire cannot carry this migration; undefined where it can. */
export function wireObstacle(
  { streams, compress }: Pick<MigrationSettings, 'streams' | 'compress'>,
  { own, offer, reachable }: Pick<PathFacts, 'own' | 'offer' | 'reachable'>,
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

/** The path to take: what was asked for, or by prediction, and why. */
export function choosePath(settings: MigrationSettings, facts: PathFacts): PathChoice {
  const asked = settings.path ?? 'native';
  if (asked === 'native') return { takes: 'native', why: 'it was asked for' };
  const obstacle = wireObstacle(settings, facts);
  if (asked === 'auto') return predicted(settings, facts, obstacle);
  if (obstacle !== undefined) return { takes: 'neither', reason: obstacle };
  return { takes: 'wire', why: 'it was asked for' };
}

function predicted(
  settings: MigrationSettings,
  facts: PathFacts,
  obstacle: string | undefined,
): PathChoice {
  // What was asked of the hypervisor's stream stays as it is.
  if (settings.streams > 1 || settings.compress !== 'none') {
    return { takes: 'native', why: obstacle ?? 'it was asked to compress by itself' };
  }
  const { linkBytesPerS, own, offer } = facts;
  const link = Math.min(linkBytesPerS ?? Infinity, settings.maxBandwidth ?? Infinity);
  if (!Number.isFinite(link)) {
    return { takes: 'native', why: obstacle ?? 'the rate of the link is not known' };
  }
  const known = own?.knowsGuest === true && offer?.knowsGuest === true;
  const plain = secondsOf(PLAIN, facts, link);
  // Post-copy takes several streams on QEMU 10.1 and later only.
  const bySeveral = settings.mode === 'precopy';
  const several = bySeveral ? secondsOf(SEVERAL, facts, link) : Infinity;
  const packed = bySeveral ? secondsOf(PACKED, facts, link) : Infinity;
  const wire = obstacle === undefined ? secondsOf(known ? KNOWN : COLD, facts, link) : Infinity;
  const why = reasonOf({ plain, several, packed, wire }, { link, known, obstacle });
  const simple: PathChoice =
    several <= plain * LEAST_GAIN
      ? { takes: 'native', why, stream: SEVERAL_STREAMS }
      : { takes: 'native', why };
  if (Math.min(packed, wire) > Math.min(plain, several) * LEAST_GAIN) return simple;
  return wire <= packed ? { takes: 'wire', why } : { takes: 'native', why, stream: PACKED_STREAM };
}

/** A pass over all memory. */
function secondsOf(cost: Cost, { memoryBytes, own, offer }: PathFacts, link: number): number {
  // The guest wants one of its own.
  const free = Math.min(own?.cores ?? 1, offer?.cores ?? 1) - 1;
  const cores = Math.min(cost.mostCores, Math.max(0.5, free));
  return Math.max(
    (memoryBytes * cost.share) / link,
    (memoryBytes / GB) * (cost.secondsPerGb / cores),
  );
}

interface Seconds {
  readonly plain: number;
  readonly several: number;
  readonly packed: number;
  readonly wire: number;
}

function reasonOf(
  seconds: Seconds,
  { link, known, obstacle }: { link: number; known: boolean; obstacle: string | undefined },
): string {
  const shown = (each: number): string => formatDuration(each * 1000);
  const paths = [`${shown(seconds.plain)} from hypervisor to hypervisor`];
  if (Number.isFinite(seconds.packed)) {
    paths.push(`${shown(seconds.several)} over ${SEVERAL_STREAMS.streams} streams`);
    paths.push(`${shown(seconds.packed)} with its zstd over ${PACKED_STREAM.streams} streams`);
  }
  if (Number.isFinite(seconds.wire)) {
    const caches = known ? ', whose caches know the guest' : '';
    paths.push(`${shown(seconds.wire)} by the wire${caches}`);
  }
  const not = obstacle === undefined ? '' : `; not by the wire: ${obstacle}`;
  return `at ${formatRate(link)} a pass over memory is predicted to take ${paths.join(', ')}${not}`;
}
