import type { BalloonLook } from '../migration/preflight/balloon.ts';

/** Shrinks and regrows the memory of a running guest. */
export interface Balloon {
  /**
   * Reads the device and its driver; takes seconds. GODWIT_CAPABILITY if there is no device, or its driver keeps no
   * statistics.
   */
  look(signal: AbortSignal): Promise<BalloonLook>;
  /** Sets the target size. The guest approaches it at its own pace. */
  resize(bytes: number, signal: AbortSignal): Promise<void>;
  /** Current size, bytes. */
  actual(signal: AbortSignal): Promise<number>;
}

export interface MayBalloon {
  readonly balloon?: Balloon;
}
