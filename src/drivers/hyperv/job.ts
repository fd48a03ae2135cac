import type { TaskSight } from '../../migration/managed/task-sight.ts';
import { defined } from '../../protocol/defined.ts';
import { explained } from './hresults.ts';
import type { Instance } from './wsman/answers.ts';

/** An Msvm_MigrationJob, and what it means for a migration. Pure. */

/** CIM_ConcreteJob.JobState, as Microsoft documents it for Msvm_MigrationJob. */
const STATE = { completed: 7, terminated: 8, killed: 9, exception: 10, warnings: 32_768 } as const;
const ENDED: readonly number[] = Object.values(STATE);

export interface MigrationJob {
  readonly id: string;
  readonly state: number;
  readonly percent?: number;
  readonly cancellable: boolean;
  /** ms since 1970 by the host's clock; absent where it does not say. */
  readonly startedMs?: number;
  readonly error: string;
  readonly errorCode: number;
}

/** Undefined where it is no job that can be distinguished from another. */
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

/** The job that this order began: the latest of those that are not older than its mark. */
export function jobSince(jobs: readonly MigrationJob[], sinceMs: number): MigrationJob | undefined {
  return jobs
    .filter(({ startedMs }) => startedMs === undefined || startedMs >= sinceMs)
    .toSorted((one, other) => (one.startedMs ?? 0) - (other.startedMs ?? 0))
    .at(-1);
}

/** Hyper-V reports how far it is, and neither bytes nor rounds nor how long the guest was paused. */
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

/** A CIM datetime as WS-Management writes it: ISO 8601. 1601 stands for none. */
function momentOf(text: string): number | undefined {
  const at = Date.parse(text);
  return Number.isNaN(at) || at < 0 ? undefined : at;
}

function count(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
