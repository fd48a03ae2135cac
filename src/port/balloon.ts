import type { BalloonLook } from '../migration/preflight/balloon.ts';

/** Takes memory of a running guest away, and gives it back. */
export interface Balloon {
  /**
   * What it and its driver report now; takes seconds. GODWIT_CAPABILITY says why there is nothing to hear: no such device, or
   * none whose driver in the guest keeps statistics.
   */
  look(signal: AbortSignal): Promise<BalloonLook>;
  /** Orders that the guest is to have so much, bytes; it comes to that by itself, as fast as it can. */
  resize(bytes: number, signal: AbortSignal): Promise<void>;
  /** What it has now, bytes. */
  actual(signal: AbortSignal): Promise<number>;
}

export interface MayBalloon {
  /** Absent where the driver knows no balloons. */
  readonly balloon?: Balloon;
}
