import type { TaskFigures, TaskSight } from '../../migration/managed/task-sight.ts';
import { defined } from '../../protocol/defined.ts';
import type { MemorySample, Mode } from '../../protocol/public/migration.ts';
import type { JobStats } from './client.ts';
import type { Mark } from './mark.ts';
import type { Params } from './rpc/params.ts';

/** Interprets libvirt's job figures for a migration. Pure. */

/** virDomainJobType */
export const JOB = {
  none: 0,
  bounded: 1,
  unbounded: 2,
  completed: 3,
  failed: 4,
  cancelled: 5,
} as const;
/** virDomainJobOperation: incoming and outgoing migration. */
const MIGRATION_IN = 4;
const MIGRATION_OUT = 5;

/** Active migration job. If libvirt reports no operation, any active job counts. */
export function isMigrating({ type, params }: JobStats): boolean {
  if (type !== JOB.bounded && type !== JOB.unbounded) return false;
  const operation = params['operation'];
  return operation === undefined || operation === MIGRATION_OUT || operation === MIGRATION_IN;
}

export function runningSight({ params }: JobStats, postcopy = false): TaskSight {
  // Copied disks are sent before the memory.
  const total = sum(params, 'memory_total', 'disk_total');
  const left = sum(params, 'memory_remaining', 'disk_remaining');
  const percent =
    total === undefined || left === undefined || total === 0
      ? undefined
      : Math.min(100, Math.max(0, ((total - left) / total) * 100));
  const memory = memoryOf(params);
  return {
    state: 'running',
    ...defined({ memory, percent }),
    ...(postcopy ? { postcopy } : {}),
    figures: figuresOf(params),
  };
}

/** Memory progress; undefined until libvirt counts rounds and rate, such as during disk copies. */
function memoryOf(params: Params): MemorySample | undefined {
  const of = (name: string): number => count(params, name) ?? 0;
  const counted = ['total', 'remaining', 'processed', 'bps', 'iteration', 'page_size'] as const;
  if (counted.some((name) => count(params, `memory_${name}`) === undefined)) return undefined;
  const pageBytes = of('memory_page_size');
  const expectedDowntimeMs = count(params, 'downtime');
  const throttlePercent = of('auto_converge_throttle');
  return {
    totalBytes: of('memory_total'),
    remainingBytes: of('memory_remaining'),
    transferredBytes: of('memory_processed'),
    rate: of('memory_bps'),
    round: of('memory_iteration'),
    // libvirt counts both in pages.
    skippedBytes: of('memory_constant') * pageBytes,
    dirtyRate: of('memory_dirty_rate') * pageBytes,
    totalMs: of('time_elapsed'),
    pageRequests: of('memory_postcopy_requests'),
    ...defined({ expectedDowntimeMs }),
    ...(throttlePercent === 0 ? {} : { throttlePercent: Math.min(100, throttlePercent) }),
  };
}

/** Figures of the last job that libvirt kept; empty if it was not a migration. */
export function figuresOfEnded(stats: JobStats | undefined, mode: Mode): TaskFigures | undefined {
  if (stats === undefined || stats.type !== JOB.completed) return undefined;
  const { params } = stats;
  const operation = params['operation'];
  if (operation !== MIGRATION_OUT && operation !== MIGRATION_IN) return undefined;
  const downtimeMs = count(params, 'downtime');
  return {
    ...figuresOf(params),
    ...defined({ downtimeMs }),
    ...finishedBy(params, mode),
  };
}

/** A guest that requested no page may have moved either way. */
function finishedBy(params: Params, mode: Mode): Pick<TaskFigures, 'finished'> {
  if (mode === 'precopy') return { finished: 'precopy' };
  return (count(params, 'memory_postcopy_requests') ?? 0) > 0 ? { finished: 'postcopy' } : {};
}

export function markedSight({ state, reason }: Mark): TaskSight {
  switch (state) {
    case 'failed':
      return { state: 'failed', reason: reason === '' ? 'libvirt does not say why' : reason };
    case 'cancelled':
      return { state: 'cancelled' };
    case 'sent':
      return { state: 'none' };
  }
}

/** libvirt's counters. With parallel streams, QEMU 7.2 counts uncompressed bytes. */
function figuresOf(params: Params): TaskFigures {
  const sentBytes = count(params, 'data_processed');
  const rounds = count(params, 'memory_iteration');
  const pageRequests = count(params, 'memory_postcopy_requests');
  return {
    ...defined({ sentBytes, rounds, pageRequests }),
  };
}

function sum(params: Params, name: string, other: string): number | undefined {
  const [one, two] = [count(params, name), count(params, other)];
  return one === undefined && two === undefined ? undefined : (one ?? 0) + (two ?? 0);
}

function count(params: Params, name: string): number | undefined {
  const value = params[name];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
