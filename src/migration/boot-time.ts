/**
 * Time since this host's kernel started, including suspends. It cannot be set, and is the same in every process.
 * Times of different boots are not comparable.
 */
export interface BootTime {
  readonly bootId: string;
  readonly uptimeMs: number;
}

/** Difference, ms; undefined if the host rebooted in between. */
export function passedMs(from: BootTime, to: BootTime): number | undefined {
  return from.bootId === to.bootId ? to.uptimeMs - from.uptimeMs : undefined;
}
