import type { PageMix } from '../../protocol/public/prediction.ts';
import { SPREADS, type MemoryPath } from './parameters.ts';
import type { Scenario } from './scenarios.ts';

/** What the destination's cache has of a guest's pages, as a sample of them shows it. Pure. */

/** Also by the name that a report has, which may be one of a newer build. */
export const isByWire = (memoryPath: string): boolean =>
  memoryPath === 'cold' || memoryPath === 'known';

/**
 * The share, of pages that are not zeros, which goes by its name; undefined where that is not known, or the path has no cache.
 * A case in which pages shrink less is one in which fewer are known, by as much as a sample of that size may be off. On the
 * scale of arcsin(sqrt(share)) that is as much for any share, so that more hits are more in each case.
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

/** By hits: what it is without any, and with nothing else. */
export const between = (none: number, all: number, hits: number): number =>
  none + (all - none) * hits;
