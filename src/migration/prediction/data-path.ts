import type { ChosenStream, MigrationSettings } from '../../protocol/public/migration.ts';
import { formatDuration, formatRate } from '../../protocol/quantity.ts';
import type { WireOffer } from '../../protocol/wire.ts';
import { WIRE_VERSION } from '../../protocol/wire.ts';
import type { Way } from './parameters.ts';
import { predict } from './predict.ts';

/** Which data path memory takes, decided before anything is prepared. Pure. */

/** What is known when it is decided. */
export interface PathFacts {
  /** Absent where this host has no wire. */
  readonly own: Pick<WireOffer, 'cores' | 'knowsGuest'> | undefined;
  /** Whether the guest's hypervisor may open a socket of this mover's: it runs as the same user, or as root. */
  readonly reachable: boolean;
  /** Absent where the destination has none. */
  readonly offer: WireOffer | undefined;
  /** Whether the hosts reach each other through a relay alone, which a hypervisor's own stream cannot use. */
  readonly byRelay?: boolean;
  readonly memoryBytes: number;
  /** What the link between the hosts carries, bytes/s; undefined where nobody knows. */
  readonly linkBytesPerS: number | undefined;
}

export type PathChoice =
  | { readonly takes: 'wire'; readonly why: string }
  /** `stream`: how the hypervisor sends it, where that is not what the settings say. */
  | { readonly takes: 'native'; readonly why: string; readonly stream?: ChosenStream }
  | { readonly takes: 'neither'; readonly reason: string };

/** As many as QEMU is given on links that are worth it. */
export const SEVERAL_STREAMS: ChosenStream = { streams: 4, compress: 'none' };
/** With QEMU's quickest level. */
export const PACKED_STREAM: ChosenStream = { streams: 4, compress: 'zstd' };
/** What a path must save of a simpler one's time: the prediction is a rough one, and simpler is better. */
const LEAST_GAIN = 0.7;

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

function predicted(
  settings: MigrationSettings,
  facts: PathFacts,
  obstacle: string | undefined,
): PathChoice {
  // Explicit settings of the hypervisor's stream stay.
  if (settings.streams > 1 || settings.compress !== 'none') {
    return { takes: 'native', why: obstacle ?? 'it was asked to compress by itself' };
  }
  const { linkBytesPerS, own, offer } = facts;
  const link = Math.min(linkBytesPerS ?? Infinity, settings.maxBandwidth ?? Infinity);
  if (!Number.isFinite(link)) {
    return { takes: 'native', why: obstacle ?? 'the rate of the link is not known' };
  }
  const known = own?.knowsGuest === true && offer?.knowsGuest === true;
  const of = (way: Way): number => secondsOf(way, settings, facts, link);
  const plain = of('plain');
  // Post-copy takes several streams on QEMU 10.1 and later only.
  const bySeveral = settings.mode === 'precopy';
  const several = bySeveral ? of('several') : Infinity;
  const packed = bySeveral ? of('packed') : Infinity;
  const wire = obstacle === undefined ? of(known ? 'known' : 'cold') : Infinity;
  const why = reasonOf({ plain, several, packed, wire }, { link, known, obstacle });
  const simple: PathChoice =
    several <= plain * LEAST_GAIN
      ? { takes: 'native', why, stream: SEVERAL_STREAMS }
      : { takes: 'native', why };
  if (Math.min(packed, wire) > Math.min(plain, several) * LEAST_GAIN) return simple;
  return wire <= packed ? { takes: 'wire', why } : { takes: 'native', why, stream: PACKED_STREAM };
}

/** What memory takes, as far as it hangs on the path: of a guest that writes nothing, whose pages nobody has looked at. */
function secondsOf(
  way: Way,
  settings: MigrationSettings,
  { memoryBytes, own, offer }: PathFacts,
  link: number,
): number {
  const cores = Math.min(own?.cores ?? 1, offer?.cores ?? 1);
  // It is asked which is the soonest, however long that is.
  const asked = { ...settings, timeoutMs: Number.MAX_SAFE_INTEGER };
  const rate = { rate: link, how: 'configured' } as const;
  const facts = { memoryBytes, curve: [], link: rate, cores, way, settings: asked };
  return predict(facts).memoryMs.middle / 1000;
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
