import type { Clock } from '../clock.ts';
import type { CurvePoint } from '../protocol/public/prediction.ts';

/** Whole seconds: QEMU supports other units only since 8.2, and libvirt none. */
const WINDOWS_S = [1, 3] as const;
const LOOK_AGAIN_MS = 50;
/** Tolerance beyond the window, ms. */
const LATE_MS = 2000;
const MIB = 1024 ** 2;

/** External dirty-rate measurement: QEMU's, directly or through libvirt. */
export interface WriteLook {
  /** False if it cannot start now. */
  begin(seconds: number, signal: AbortSignal): Promise<boolean>;
  /** MiB/s after that many seconds; undefined before. */
  rate(seconds: number, signal: AbortSignal): Promise<number | undefined>;
}

/**
 * Writes of a guest within each window; undefined if they cannot be measured now, or a measurement does not end
 * in time.
 */
export async function dirtyCurve(
  look: WriteLook,
  memoryBytes: number,
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>,
  signal: AbortSignal,
): Promise<CurvePoint[] | undefined> {
  const curve: CurvePoint[] = [];
  for (const seconds of WINDOWS_S) {
    if (!(await look.begin(seconds, signal))) return undefined;
    const rate = await untilMeasured(look, seconds, clock, signal);
    if (rate === undefined) return undefined;
    const dirtyBytes = Math.min(memoryBytes, Math.round(Math.max(0, rate) * seconds * MIB));
    curve.push({ windowMs: seconds * 1000, dirtyBytes });
  }
  return curve;
}

async function untilMeasured(
  look: WriteLook,
  seconds: number,
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>,
  signal: AbortSignal,
): Promise<number | undefined> {
  const until = clock.monotonicMs() + seconds * 1000 + LATE_MS;
  await clock.sleep(seconds * 1000, signal);
  while (clock.monotonicMs() < until) {
    const rate = await look.rate(seconds, signal);
    if (rate !== undefined) return rate;
    await clock.sleep(LOOK_AGAIN_MS, signal);
  }
  return undefined;
}
