/**
 * A moment by the clock that counts since the kernel of this host started, suspends included. No one sets it, and every process
 * of one boot reads the same. Moments of two boots are not comparable.
 */
export interface BootMoment {
  readonly bootId: string;
  readonly ms: number;
}

/** From one moment to another, ms; undefined if the host was restarted in between. */
export function passedMs(from: BootMoment, to: BootMoment): number | undefined {
  return from.bootId === to.bootId ? to.ms - from.ms : undefined;
}
