import type { PageMix } from '../../protocol/public/prediction.ts';

export interface BalloonTake {
  readonly takesBytes: number;
  readonly availableBytes: number;
}

/**
 * Mix of pages after the balloon took this much; the taken pages become zeros. Pages that were zeros before are
 * assumed to be unused, and to be taken in proportion. Pure.
 */
export function balloonedMix(
  mix: PageMix,
  { takesBytes, availableBytes }: BalloonTake,
  memoryBytes: number,
): PageMix {
  if (memoryBytes <= 0 || availableBytes <= 0) return mix;
  const unused = Math.min(mix.zero * memoryBytes, availableBytes);
  const taken = Math.min(takesBytes, availableBytes);
  const more = taken * (1 - unused / availableBytes);
  const zero = Math.min(1, mix.zero + more / memoryBytes);
  if (mix.known === undefined || mix.zero >= 1) return { ...mix, zero };
  const { share, pages } = mix.known;
  return { ...mix, zero, known: { share: (share * (1 - zero)) / (1 - mix.zero), pages } };
}
