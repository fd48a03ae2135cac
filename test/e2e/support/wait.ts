import { systemClock } from '../../../src/clock.ts';

const STEP_MS = 20;

/**
 * Looks until `look` has an answer, and returns it. Rejects after `deadlineMs`, saying what was waited for.
 * It stands for a condition that nothing announces: where there is an event, wait for that.
 */
export async function until<T>(
  what: string,
  deadlineMs: number,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const start = systemClock.monotonicMs();
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (systemClock.monotonicMs() - start > deadlineMs) {
      throw new Error(`waited ${deadlineMs} ms for ${what}`);
    }
    await systemClock.sleep(STEP_MS);
  }
}
