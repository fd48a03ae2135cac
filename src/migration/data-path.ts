import type { MigrationSettings } from '../protocol/migration.ts';
import { formatDuration, formatRate } from '../protocol/quantity.ts';
import type { WireOffer } from '../protocol/wire.ts';
import { WIRE_VERSION } from '../protocol/wire.ts';

/** Which way memory takes, decided before anything is prepared. Pure. */

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
  | { readonly takes: 'native' | 'wire'; readonly why: string }
  | { readonly takes: 'neither'; readonly reason: string };

/**
 * What the wire makes of guest memory: bytes over the link for each byte, and seconds of one processor for each GB, as
 * measured on a busy machine of two (docs/wire.md).
 */
const COLD = { share: 0.5, secondsPerGb: 11 };
const KNOWN = { share: 0.05, secondsPerGb: 6 };
/** What the wire must save of the time: the prediction is a rough one, and hypervisors alone are simpler. */
const LEAST_GAIN = 0.7;
/** More processors than this do not help: one thread tells the pages. */
const MOST_CORES = 2;
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

/** The way to take: what was asked for, or by prediction, and why. */
export function choosePath(settings: MigrationSettings, facts: PathFacts): PathChoice {
  const asked = settings.path ?? 'native';
  if (asked === 'native') return { takes: 'native', why: 'it was asked for' };
  const obstacle = wireObstacle(settings, facts);
  if (asked === 'wire') {
    if (obstacle !== undefined) return { takes: 'neither', reason: obstacle };
    return { takes: 'wire', why: 'it was asked for' };
  }
  return obstacle === undefined ? predicted(settings, facts) : { takes: 'native', why: obstacle };
}

function predicted({ maxBandwidth }: MigrationSettings, facts: PathFacts): PathChoice {
  const { linkBytesPerS, memoryBytes, own, offer } = facts;
  const link = Math.min(linkBytesPerS ?? Infinity, maxBandwidth ?? Infinity);
  if (!Number.isFinite(link)) return { takes: 'native', why: 'the rate of the link is not known' };
  const known = own?.knowsGuest === true && offer?.knowsGuest === true;
  const { share, secondsPerGb } = known ? KNOWN : COLD;
  // The guest wants one of its own.
  const free = Math.min(own?.cores ?? 1, offer?.cores ?? 1) - 1;
  const cores = Math.min(MOST_CORES, Math.max(0.5, free));
  const nativeS = memoryBytes / link;
  const wireS = Math.max((memoryBytes * share) / link, (memoryBytes / GB) * (secondsPerGb / cores));
  const takes = wireS < nativeS * LEAST_GAIN ? 'wire' : 'native';
  const why =
    `at ${formatRate(link)} a pass over memory is predicted to take ${formatDuration(nativeS * 1000)} natively, ` +
    `${formatDuration(wireS * 1000)} by the wire on ${cores} of the processors` +
    (known ? ', whose caches know the guest' : '');
  return { takes, why };
}
