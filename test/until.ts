import { systemClock } from '../src/clock.ts';

const FIRST_STEP_MS = 1;
const MAX_STEP_MS = 20;
const DEADLINE_MS = 60_000;

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
  for (let stepMs = FIRST_STEP_MS; ; stepMs = Math.min(MAX_STEP_MS, 2 * stepMs)) {
    const found = await look();
    if (found !== undefined) return found;
    if (systemClock.monotonicMs() - start > deadlineMs) {
      throw new Error(`waited ${deadlineMs} ms for ${what}`);
    }
    await systemClock.sleep(stepMs);
  }
}

/** Resolves once `isSo`; rejects after a minute, with the condition as it is written. */
export async function untilSo(isSo: () => boolean | Promise<boolean>): Promise<void> {
  await until(String(isSo), DEADLINE_MS, async () => ((await isSo()) ? true : undefined));
}
