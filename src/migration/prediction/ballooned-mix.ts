import type { PageMix } from '../../protocol/public/prediction.ts';

/** What was seen of a guest's balloon, bytes. */
export interface BalloonTake {
  readonly takesBytes: number;
  readonly availableBytes: number;
}

/**
 * The mix of pages once the balloon has taken so much: those are zeros. Pages that were zeros before are taken to be among
 * those that the guest does not use, and to be taken like the others of them. So are pages that the destination knows: of
 * what is left it knows as large a part. Pure.
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
