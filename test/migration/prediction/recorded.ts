import type { Facts } from '../../../src/migration/prediction/facts.ts';
import { MIB } from './samples.ts';

/** Moves of the lab on a quiet machine, by `npm run bench -- prediction` (bench/results/prediction.md), with their facts. */

export interface RecordedMove {
  readonly link: keyof typeof LINKS;
  readonly guest: keyof typeof GUESTS;
  readonly way: keyof typeof WAYS;
  readonly totalMs: number;
  readonly bytes: number;
  readonly downtimeMs: number;
}

/** What the agents measure of it. */
const LINKS = {
  400: { rate: 47_500_000, roundTripMs: 0.5 },
  100: { rate: 11_900_000, roundTripMs: 0.5 },
  1000: { rate: 119_000_000, roundTripMs: 0.5 },
} as const;
/** MiB: pages that hold something, random ones among them, what is rewritten, and how much of it within a second. */
const GUESTS = {
  idle: { holds: 108, random: 32, rewrites: 0, perSecond: 0 },
  light: { holds: 141, random: 64, rewrites: 32, perSecond: 2 },
  busy: { holds: 141, random: 64, rewrites: 32, perSecond: 16 },
  wide: { holds: 173, random: 96, rewrites: 48, perSecond: 6 },
} as const;
/** Of its other pages. */
const PACKED = 0.5;
const WAYS = {
  precopy: { mode: 'precopy', memoryPath: 'plain' },
  zstd: { mode: 'precopy', memoryPath: 'packed' },
  postcopy: { mode: 'postcopy', memoryPath: 'plain' },
} as const;

/** Link, guest, way; what it came to: total, s; memory, MiB; downtime, ms. */
const ROWS = [
  [1000, 'idle', 'precopy', 2.2, 109, 82],
  [1000, 'idle', 'zstd', 2.0, 66.8, 126],
  [1000, 'idle', 'postcopy', 2.1, 109, 4],
  [1000, 'light', 'precopy', 2.6, 126, 73],
  [1000, 'light', 'zstd', 2.3, 98.9, 124],
  [1000, 'light', 'postcopy', 2.6, 141, 6],
  [1000, 'busy', 'precopy', 2.9, 165, 83],
  [1000, 'busy', 'zstd', 2.5, 111, 138],
  [1000, 'busy', 'postcopy', 2.4, 141, 4],
  [1000, 'wide', 'precopy', 3.0, 181, 76],
  [1000, 'wide', 'zstd', 2.7, 135, 113],
  [1000, 'wide', 'postcopy', 2.6, 172, 4],
  [400, 'idle', 'precopy', 3.6, 109, 97],
  [400, 'idle', 'zstd', 2.8, 68, 136],
  [400, 'idle', 'postcopy', 3.5, 109, 4],
  [400, 'light', 'precopy', 4.2, 132, 111],
  [400, 'light', 'zstd', 3.7, 103, 84],
  [400, 'light', 'postcopy', 4.2, 140, 4],
  [400, 'busy', 'precopy', 5.8, 191, 84],
  [400, 'busy', 'zstd', 4.7, 140, 241],
  [400, 'busy', 'postcopy', 4.3, 141, 4],
  [400, 'wide', 'precopy', 5.8, 202, 90],
  [400, 'wide', 'zstd', 4.8, 150, 208],
  [400, 'wide', 'postcopy', 5.0, 173, 4],
  [100, 'idle', 'precopy', 10.9, 110, 105],
  [100, 'idle', 'zstd', 7.4, 68.1, 310],
  [100, 'idle', 'postcopy', 10.6, 109, 3],
  [100, 'light', 'precopy', 16.4, 171, 172],
  [100, 'light', 'zstd', 11.8, 118, 334],
  [100, 'light', 'postcopy', 13.6, 141, 4],
] as const;

export const RECORDED: readonly RecordedMove[] = ROWS.map(
  ([link, guest, way, totalS, memoryMib, downtimeMs]) => ({
    link,
    guest,
    way,
    totalMs: totalS * 1000,
    bytes: memoryMib * MIB,
    downtimeMs,
  }),
);

export function factsOf({ link, guest, way }: Pick<RecordedMove, 'link' | 'guest' | 'way'>): Facts {
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
    processors: [{ cores: 2 }],
    memoryPath: WAYS[way].memoryPath,
    settings: {
      mode: WAYS[way].mode,
      maxDowntimeMs: 100,
      maxBandwidth: undefined,
      hybridRounds: 3,
      timeoutMs: 40_000,
    },
  };
}
