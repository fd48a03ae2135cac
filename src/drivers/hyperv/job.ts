import type { TaskSight } from '../../migration/managed/task-sight.ts';
import { defined } from '../../protocol/defined.ts';
import { explained } from './hresults.ts';
import type { Instance } from './wsman/answers.ts';

/** Msvm_MigrationJob and its meaning for a migration. Pure. */

/** CIM_ConcreteJob.JobState, from Microsoft's documentation of Msvm_MigrationJob. */
const STATE = { completed: 7, terminated: 8, killed: 9, exception: 10, warnings: 32_768 } as const;
const ENDED: readonly number[] = Object.values(STATE);

export interface MigrationJob {
  readonly id: string;
  readonly state: number;
  readonly percent?: number;
  readonly cancellable: boolean;
  /** ms since 1970 by the host's clock; absent if not reported. */
  readonly startedMs?: number;
  readonly error: string;
  readonly errorCode: number;
}

/** Undefined if the job cannot be distinguished from others. */
export function jobOf(instance: Instance): MigrationJob | undefined {
  const word = (name: string): string => instance[name]?.at(0) ?? '';
  const id = word('InstanceID');
  const state = count(word('JobState'));
  if (id === '' || state === undefined) return undefined;
  const percent = count(word('PercentComplete'));
  const startedMs = momentOf(word('TimeSubmitted')) ?? momentOf(word('StartTime'));
  const words = [word('ErrorSummaryDescription'), word('ErrorDescription')];
  return {
    id,
    state,
    cancellable: word('Cancellable') !== 'false',
    error: [...new Set(words.map((each) => each.trim()))].filter((each) => each !== '').join(' '),
    errorCode: count(word('ErrorCode')) ?? 0,
    ...(percent === undefined || percent > 100 ? {} : { percent }),
    ...defined({ startedMs }),
  };
}

export function isRunning({ state }: MigrationJob): boolean {
  return !ENDED.includes(state);
}

/** Job of this order: the newest one that is not older than its mark. */
export function jobSince(jobs: readonly MigrationJob[], sinceMs: number): MigrationJob | undefined {
  return jobs
    .filter(({ startedMs }) => startedMs === undefined || startedMs >= sinceMs)
    .toSorted((one, other) => (one.startedMs ?? 0) - (other.startedMs ?? 0))
    .at(-1);
}

/** Hyper-V reports a percentage, but no bytes, rounds or pause. */
export function sightOf(job: MigrationJob): TaskSight {
  switch (job.state) {
    case STATE.completed:
    case STATE.warnings:
      return { state: 'done' };
    case STATE.terminated:
    case STATE.killed:
      return { state: 'cancelled' };
    case STATE.exception:
      return { state: 'failed', reason: explained(job.error || `error ${job.errorCode}`) };
    default:
      return { state: 'running', ...defined({ percent: job.percent }) };
  }
}

/** CIM datetime in WS-Management's form, ISO 8601; 1601 means none. */
function momentOf(text: string): number | undefined {
  const at = Date.parse(text);
  return Number.isNaN(at) || at < 0 ? undefined : at;
}

function count(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
