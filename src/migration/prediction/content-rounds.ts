import { dirtiedWithin } from './curve.ts';
import type { Facts } from './facts.ts';
import { CONTENT_ROUNDS, LITTLE_SHARE, LOOK_SECONDS_PER_GB, WORTH_SHARE } from './parameters.ts';
import type { Rounds } from './rounds.ts';
import type { Load } from './load.ts';

/** Simulates rounds that compare memory by content, as the driver of containers does. Pure. */

type Policy = Pick<Facts['settings'], 'maxBandwidth' | 'maxDowntimeMs' | 'timeoutMs'>;

/**
 * The first round sends all memory. Each later round reads all of it and sends what changed. Rounds end when one is
 * small or gains nothing; the final changes are sent while the guest is frozen. `processor`: factor on the assumed
 * reading time.
 */
export function simulateContent(
  load: Load,
  { maxBandwidth, maxDowntimeMs, timeoutMs }: Policy,
  processor: number,
): Rounds {
  const { curve, memoryBytes, againMsPerByte, againBytesPerByte } = load;
  const lookMs = (memoryBytes / 1e9) * LOOK_SECONDS_PER_GB * 1000 * processor;
  const mostBytes =
    maxBandwidth === undefined ? memoryBytes / LITTLE_SHARE : (maxBandwidth * maxDowntimeMs) / 1000;
  let [rounds, sent, lastMs] = [1, load.passBytes, Math.max(load.passMs, lookMs)];
  let [bytes, memoryMs, before] = [sent, lastMs, Infinity];
  while (rounds < CONTENT_ROUNDS) {
    if (rounds > 1 && (sent <= mostBytes || sent > before * WORTH_SHARE)) break;
    before = sent;
    const dirtied = dirtiedWithin(curve, lastMs, memoryBytes);
    sent = dirtied * againBytesPerByte;
    lastMs = Math.max(lookMs, dirtied * againMsPerByte);
    [bytes, memoryMs] = [bytes + sent, memoryMs + lastMs];
    rounds += 1;
  }
  const lastDirtied = dirtiedWithin(curve, lastMs, memoryBytes);
  const finalMs = lastDirtied * againMsPerByte;
  const all = {
    rounds,
    bytes: bytes + lastDirtied * againBytesPerByte,
    memoryMs: memoryMs + finalMs,
    lastMs,
    lastDirtied,
    steps: [],
  };
  if (all.memoryMs <= timeoutMs) return { ...all, ends: 'precopy', finalMs };
  return { ...all, memoryMs: timeoutMs, ends: 'never', finalMs: 0 };
}
