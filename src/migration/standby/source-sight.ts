/**
 * A standby host's observations of the host whose guests it keeps, by its monotonic clock. Silence is not recorded,
 * because a silent host may live.
 */
export interface SourceSight {
  /** Last heartbeat, ms; absent: none since this agent started. */
  readonly heardAtMs?: number;
  /** First look of the current unbroken series of answers, ms. */
  readonly answersSinceMs?: number;
}

export const afterHeartbeat = (sight: SourceSight, atMs: number): SourceSight => ({
  heardAtMs: atMs,
  answersSinceMs: sight.answersSinceMs ?? atMs,
});

/** `unknown`: this host could not ask, which is neither silence nor an answer. */
export type KernelLook = 'answers' | 'silent' | 'unknown';

export function afterKernelLook(sight: SourceSight, look: KernelLook, atMs: number): SourceSight {
  const heard = sight.heardAtMs === undefined ? {} : { heardAtMs: sight.heardAtMs };
  return look === 'answers' ? { ...heard, answersSinceMs: sight.answersSinceMs ?? atMs } : heard;
}
