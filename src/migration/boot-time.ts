/** A moment by a host's own clock, which nobody sets: a proof is valid for a time, and in the boot in which it was obtained. */
export interface BootTime {
  readonly bootId: string;
  readonly uptimeMs: number;
}
