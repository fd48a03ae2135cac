/**
 * What a standby host has observed of the host whose guests it keeps, by its own monotonic clock. Silence is not recorded: a
 * host that is silent may live.
 */
export interface SourceSight {
  /** Of the last heartbeat, ms; absent: none since this agent started. */
  readonly heardAtMs?: number;
  /** The first of the looks at which it answered, with no look without an answer since, ms. */
  readonly answersSinceMs?: number;
}

export const afterHeartbeat = (sight: SourceSight, atMs: number): SourceSight => ({
  heardAtMs: atMs,
  answersSinceMs: sight.answersSinceMs ?? atMs,
});

/** `unknown`: this host could not ask. It is neither silence nor an answer. */
export type KernelLook = 'answers' | 'silent' | 'unknown';

export function afterKernelLook(sight: SourceSight, look: KernelLook, atMs: number): SourceSight {
  const heard = sight.heardAtMs === undefined ? {} : { heardAtMs: sight.heardAtMs };
  return look === 'answers' ? { ...heard, answersSinceMs: sight.answersSinceMs ?? atMs } : heard;
}
