import { HINTED_SHARE, HINTS_AFTER_MS } from './parameters.ts';

/** What is known of a guest that gives hints of its free pages. */
export interface FreePageFacts {
  readonly freeBytes: number;
  readonly memoryBytes: number;
  /** The share of its pages that are zeros: they are taken to be among the free ones. */
  readonly zero: number;
  /** At which memory is sent until the hints are there, bytes/s. */
  readonly rate: number;
}

/**
 * How much of what the guest's pages hold pre-copy leaves out, bytes. Hints are of large free blocks alone, and what goes
 * before they come goes all the same. Pure.
 */
export function leftOutBytes({ freeBytes, memoryBytes, zero, rate }: FreePageFacts): number {
  const held = (1 - zero) * memoryBytes;
  if (held <= 0) return 0;
  const early = Math.min(1, (rate * HINTS_AFTER_MS) / 1000 / held);
  const freeAndHeld = Math.min(held, Math.max(0, freeBytes - zero * memoryBytes));
  return freeAndHeld * HINTED_SHARE * (1 - early);
}
