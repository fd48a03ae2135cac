import fc from 'fast-check';
import type { DataPathFacts } from '../../../src/migration/prediction/data-path.ts';
import { WIRE_VERSION } from '../../../src/protocol/wire.ts';
import { COSTS, type MemoryPath } from '../../../src/migration/prediction/parameters.ts';
import type { Facts } from '../../../src/migration/prediction/facts.ts';

/** Facts that any guest, link and request may give. */

export const MIB = 1024 ** 2;
export const MBIT = 125_000;

/** What two hosts of two processors offer over 100 Mbit/s for a guest that neither knows. */
export const own = { cores: 2, knowsGuest: false };
export const offer = { version: WIRE_VERSION, ...own };
export const thin: DataPathFacts = {
  own,
  reachable: true,
  offer,
  memoryBytes: 1 << 30,
  linkBytesPerS: 100 * MBIT,
};

/** A fifth zeros, and the rest packs as images and page caches do. */
export const MIX = { zero: 0.2, duplicate: 0, packed: 0.45 };

export const MEMORY_PATHS = Object.keys(COSTS) as MemoryPath[];

const share = fc.double({ min: 0, max: 1, noNaN: true });

/** A curve that rises, as a sample of pages draws it. */
const curve = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 0, max: 512 * MIB })), {
    maxLength: 5,
  })
  .map((points) => points.map(([windowMs, dirtyBytes]) => ({ windowMs, dirtyBytes })));

export const anyFacts: fc.Arbitrary<Facts> = fc.record({
  memoryBytes: fc.integer({ min: 16 * MIB, max: 4096 * MIB }),
  curve,
  mix: fc.option(
    fc.record(
      {
        zero: share,
        duplicate: share,
        packed: share,
        packedAgain: share,
        known: fc.record({ share, pages: fc.integer({ min: 64, max: 4096 }) }),
      },
      { requiredKeys: ['zero', 'duplicate', 'packed'] },
    ),
    { nil: undefined },
  ),
  hintedFreeBytes: fc.option(fc.integer({ min: 0, max: 4096 * MIB }), { nil: undefined }),
  link: fc.record({
    rate: fc.integer({ min: 100_000, max: 1_250_000_000 }),
    how: fc.constantFrom('measured' as const, 'seen' as const, 'configured' as const),
    roundTripMs: fc.integer({ min: 0, max: 200 }),
  }),
  processors: fc.array(
    fc.record({
      cores: fc.integer({ min: 1, max: 32 }),
      load: fc.option(fc.double({ min: 0, max: 100, noNaN: true }), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 2 },
  ),
  memoryPath: fc.constantFrom(...MEMORY_PATHS),
  settings: fc.record({
    mode: fc.constantFrom('precopy' as const, 'postcopy' as const),
    maxDowntimeMs: fc.integer({ min: 1, max: 5000 }),
    maxBandwidth: fc.option(fc.integer({ min: 100_000, max: 1_250_000_000 }), { nil: undefined }),
    hybridRounds: fc.integer({ min: 1, max: 50 }),
    timeoutMs: fc.integer({ min: 10_000, max: 86_400_000 }),
  }),
});

/** A guest of 1 GiB over 1 Gbit/s that writes within a second `dirtyMib`, and no more in a longer one. */
export function guest(dirtyMib: number, settings: Partial<Facts['settings']> = {}): Facts {
  return {
    memoryBytes: 1024 * MIB,
    curve: [
      { windowMs: 1000, dirtyBytes: dirtyMib * MIB },
      { windowMs: 4000, dirtyBytes: dirtyMib * MIB },
    ],
    mix: { zero: 0.25, duplicate: 0.1, packed: 0.4 },
    link: { rate: 125_000_000, how: 'measured', roundTripMs: 1 },
    processors: [{ cores: 16 }],
    memoryPath: 'plain',
    settings: {
      mode: 'precopy',
      maxDowntimeMs: 100,
      maxBandwidth: undefined,
      hybridRounds: 3,
      timeoutMs: 600_000,
      ...settings,
    },
  };
}
