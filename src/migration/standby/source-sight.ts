/**
 * What a standby host has observed of the host whose guests it keeps, by its own monotonic clock. Each observation says
 * whether the other host was alive then; what lies between two observations is unknown.
 */
export interface SourceSight {
  /** Of the last heartbeat, ms; absent: none since this agent started. */
  readonly heardAtMs?: number;
  /** The first of the looks at which its kernel was silent, with no sign of life since, ms. */
  readonly silentSinceMs?: number;
  /** The first of the looks at which it answered, with no other answer since, ms. */
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
  switch (look) {
    case 'answers':
      return { ...heard, answersSinceMs: sight.answersSinceMs ?? atMs };
    case 'silent':
      return { ...heard, silentSinceMs: sight.silentSinceMs ?? atMs };
    case 'unknown':
      return heard;
  }
}

/** Until when the other host may have lived and changed its guests, ms: until it was first found silent, else until now. */
export const mayHaveLivedUntilMs = ({ silentSinceMs }: SourceSight, nowMs: number): number =>
  silentSinceMs ?? nowMs;
