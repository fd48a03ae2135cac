/** Phases that a migration does not leave by itself. They stand apart from the schemas, which a page has no use for. */
export const END_PHASES = ['done', 'rehearsed', 'failed', 'cancelled', 'held', 'lost'] as const;
export type EndPhase = (typeof END_PHASES)[number];

export function isEnd<P extends string>(phase: P): phase is P & EndPhase {
  return (END_PHASES as readonly string[]).includes(phase);
}
