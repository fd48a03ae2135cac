import type { DiskScore, PredictionScore } from './history.ts';

/** Names of a migration's figures, in a separate file, because the dashboard loads it without the schemas. */
export const FIGURE_NAMES = {
  bytes: 'bytes',
  totalMs: 'total time',
  memoryMs: 'memory',
  rounds: 'rounds',
  downtimeMs: 'downtime',
  clientGapMs: 'client gap',
} as const satisfies Record<PredictionScore['of'], string>;

export const DISK_FIGURE_NAMES = {
  diskBytes: 'bytes of disks',
  diskMs: 'copy of disks',
  readsP50Ms: 'reads p50',
  readsP99Ms: 'reads p99',
  writesP50Ms: 'writes p50',
  writesP99Ms: 'writes p99',
  flushesP50Ms: 'flushes p50',
  flushesP99Ms: 'flushes p99',
} as const satisfies Record<DiskScore['of'], string>;
