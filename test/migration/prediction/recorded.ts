import type { Facts } from '../../../src/migration/prediction/load.ts';
import { MIB } from './samples.ts';

/** Moves of the lab that docs/measurements/prediction.md lists, of 2026-11-26, with the facts that they began with. */

export interface Recorded {
  readonly link: keyof typeof LINKS;
  readonly guest: keyof typeof GUESTS;
  readonly way: keyof typeof WAYS;
  /** By its hypervisor, ms. */
  readonly downtimeMs: number;
}

/** What the agents measured of it, and the round trip on that busy machine. */
const LINKS = {
  400: { rate: 47_500_000, roundTripMs: 2 },
  100: { rate: 11_900_000, roundTripMs: 4 },
  1000: { rate: 119_000_000, roundTripMs: 1 },
} as const;
/** MiB: pages that hold something, random ones among them, what is rewritten, and how much of it within a second. */
const GUESTS = {
  idle: { holds: 108, random: 32, rewrites: 0, perSecond: 0 },
  light: { holds: 141, random: 64, rewrites: 32, perSecond: 2 },
  busy: { holds: 141, random: 64, rewrites: 32, perSecond: 16 },
  wide: { holds: 173, random: 96, rewrites: 48, perSecond: 6 },
} as const;
/** Of its other pages. */
const PACKED = 0.45;
const WAYS = {
  precopy: { mode: 'precopy', way: 'plain' },
  zstd: { mode: 'precopy', way: 'packed' },
  postcopy: { mode: 'postcopy', way: 'plain' },
} as const;

/** By link and guest: pre-copy, zstd, post-copy; what did not end is left out. */
const DOWNTIMES_MS = [
  [400, 'idle', 110, 153, 62],
  [400, 'light', 151, 108, 8],
  [400, 'busy', 187, 359, 6],
  [400, 'wide', 204, 288, 13],
  [100, 'idle', 300, 306, 4],
  [100, 'light', 221, 277, 28],
  [100, 'busy', undefined, undefined, 9],
  [100, 'wide', 358, 535, 17],
  [1000, 'idle', 259, 361, 5],
  [1000, 'light', 41, 445, 5],
  [1000, 'busy', 110, 195, 9],
  [1000, 'wide', 88, 88, 6],
] as const;

export const RECORDED: readonly Recorded[] = DOWNTIMES_MS.flatMap(([link, guest, ...all]) =>
  (['precopy', 'zstd', 'postcopy'] as const).flatMap((way, index) => {
    const downtimeMs = all[index];
    return downtimeMs === undefined ? [] : [{ link, guest, way, downtimeMs }];
  }),
);

export function factsOf({ link, guest, way }: Recorded): Facts {
  const { holds, random, rewrites, perSecond } = GUESTS[guest];
  const packed = (random + (holds - random) * PACKED) / holds;
  return {
    memoryBytes: 256 * MIB,
    curve: [100, 300, 1000, 3000].map((windowMs) => ({
      windowMs,
      dirtyBytes: Math.min(rewrites, (perSecond * windowMs) / 1000) * MIB,
    })),
    mix: {
      zero: 1 - holds / 256,
      duplicate: 0,
      packed,
      ...(rewrites === 0 ? {} : { packedAgain: 1 }),
    },
    link: { ...LINKS[link], how: 'measured' },
    cores: 2,
    way: WAYS[way].way,
    settings: {
      mode: WAYS[way].mode,
      maxDowntimeMs: 100,
      maxBandwidth: undefined,
      hybridRounds: 3,
      timeoutMs: 40_000,
    },
  };
}
