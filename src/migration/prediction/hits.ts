import type { PageMix } from '../../protocol/public/prediction.ts';
import { SPREADS, type MemoryPath } from './parameters.ts';
import type { Scenario } from './scenarios.ts';

/** Share of a guest's pages in the destination's cache, from a sample. Pure. */

/** Accepts the path names of a report, possibly of a newer build. */
export const isByWire = (memoryPath: string): boolean =>
  memoryPath === 'cold' || memoryPath === 'known';

/**
 * Share of nonzero pages that are sent by name; undefined if unknown or without a cache. Scenarios with less
 * compressible pages also have fewer hits, shifted by the sampling error. On the scale of arcsin(sqrt(share)) the
 * error is the same for every share.
 */
export function hitsOf(
  { memoryPath, mix }: { readonly memoryPath: MemoryPath; readonly mix?: PageMix | undefined },
  { share }: Pick<Scenario, 'share'>,
): number | undefined {
  if (!isByWire(memoryPath) || mix?.known === undefined) return undefined;
  const { known, zero } = mix;
  const measured = zero >= 1 ? 0 : Math.min(1, known.share / (1 - zero));
  const off = Math.log(share) / SPREADS.share.sampled / (2 * Math.sqrt(known.pages));
  const angle = Math.asin(Math.sqrt(measured)) - off;
  return Math.sin(Math.min(Math.PI / 2, Math.max(0, angle))) ** 2;
}

/** Interpolates by hits, from none to all. */
export const between = (none: number, all: number, hits: number): number =>
  none + (all - none) * hits;
