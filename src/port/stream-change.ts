/** Settings that can change while memory moves. */
export interface StreamChange {
  /** bytes/s; 0: no limit. */
  readonly maxBandwidth?: number;
  /** Limit for pre-copy, and for background pages of post-copy, bytes/s; 0: no limit. */
  readonly precopyBandwidth?: number;
  readonly postcopyBandwidth?: number;
  readonly maxDowntimeMs?: number;
  readonly throttlePercent?: number;
}
