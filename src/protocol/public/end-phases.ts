/** Final phases. Separate from the schemas, which pages do not need. */
export const END_PHASES = ['done', 'rehearsed', 'failed', 'cancelled', 'held', 'lost'] as const;
export type EndPhase = (typeof END_PHASES)[number];

export function isEnd<P extends string>(phase: P): phase is P & EndPhase {
  return (END_PHASES as readonly string[]).includes(phase);
}
