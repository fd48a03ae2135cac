/** What can be changed while memory moves. */
export interface StreamChange {
  /** bytes/s; 0: no limit. */
  readonly maxBandwidth?: number;
  /** Of pre-copy alone, and of what follows by post-copy beside pages that the guest waits for, bytes/s; 0: no limit. */
  readonly precopyBandwidth?: number;
  readonly postcopyBandwidth?: number;
  readonly maxDowntimeMs?: number;
  readonly throttlePercent?: number;
}
