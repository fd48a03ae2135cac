import type { PredictionScore } from './history.ts';

/** What the figures of a migration are called; of its own, since a browser loads it without the schemas. */
export const FIGURE_NAMES = {
  bytes: 'bytes',
  totalMs: 'total time',
  memoryMs: 'memory',
  rounds: 'rounds',
  downtimeMs: 'downtime',
  clientGapMs: 'client gap',
} as const satisfies Record<PredictionScore['of'], string>;
