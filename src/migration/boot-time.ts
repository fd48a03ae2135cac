/**
 * A moment by the clock that counts since the kernel of this host started, suspended time included. Nobody sets it, and every
 * process of one boot reads the same. Moments of two boots are not comparable.
 */
export interface BootTime {
  readonly bootId: string;
  readonly uptimeMs: number;
}

/** From one moment to another, ms; undefined if the host was restarted in between. */
export function passedMs(from: BootTime, to: BootTime): number | undefined {
  return from.bootId === to.bootId ? to.uptimeMs - from.uptimeMs : undefined;
}
