import type { Clock } from '../clock.ts';
import type { CurvePoint } from '../protocol/public/prediction.ts';

/** Whole seconds: QEMU counts in others since 8.2, and libvirt in no others. */
const WINDOWS_S = [1, 3] as const;
const LOOK_AGAIN_MS = 50;
/** Beyond its window, ms. */
const LATE_MS = 2000;
const MIB = 1024 ** 2;

/** Somebody's own look at what a guest writes: QEMU's, asked by itself or through libvirt. */
export interface WriteLook {
  /** Begins to look; false where that cannot be now. */
  begin(seconds: number, signal: AbortSignal): Promise<boolean>;
  /** MiB/s, once it has looked for so long; undefined before that. */
  rate(seconds: number, signal: AbortSignal): Promise<number | undefined>;
}

/** What a guest writes within each window; undefined where it cannot be looked at now, or a look does not end in time. */
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
