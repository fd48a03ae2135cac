import { HINTED_SHARE, HINTS_AFTER_MS } from './parameters.ts';

export interface FreePageFacts {
  readonly freeBytes: number;
  readonly memoryBytes: number;
  /** Share of zero pages; assumed to be free. */
  readonly zero: number;
  /** Rate of memory before the hints arrive, bytes/s. */
  readonly rate: number;
}

/** Bytes of page content that pre-copy skips: large free blocks that were not sent before the hints. Pure. */
export function leftOutBytes({ freeBytes, memoryBytes, zero, rate }: FreePageFacts): number {
  const held = (1 - zero) * memoryBytes;
  if (held <= 0) return 0;
  const early = Math.min(1, (rate * HINTS_AFTER_MS) / 1000 / held);
  const freeAndHeld = Math.min(held, Math.max(0, freeBytes - zero * memoryBytes));
  return freeAndHeld * HINTED_SHARE * (1 - early);
}
