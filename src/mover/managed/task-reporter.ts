import type { ManagedEvent } from '../../migration/managed/events.ts';
import type { ManagedState } from '../../migration/managed/state.ts';
import type { TaskSight } from '../../migration/managed/task-sight.ts';

/**
 * Rounds with the same leading digits are one record, which bounds the journal: each of the first 999, then every
 * tenth.
 */
const ROUND_DIGITS = 3;

interface Reports {
  readonly state: () => ManagedState;
  readonly dispatch: (event: ManagedEvent) => void;
  readonly live: (task: Extract<TaskSight, { state: 'running' }>) => void;
}

/** Journals news from the manager: progress in steps of ten, rounds, and each report of no task. */
export function reporter({ state, dispatch, live }: Reports): (task: TaskSight) => void {
  let before = '';
  return (task) => {
    const { order } = state();
    const inPostcopy = task.state === 'running' && task.postcopy === true;
    const round =
      task.state === 'running' ? task.memory?.round.toPrecision(ROUND_DIGITS) : undefined;
    const now = JSON.stringify([task.state, tensOf(task), inPostcopy, round, order]);
    const isCounted = task.state === 'none' && order !== 'sent';
    if (now !== before || isCounted) dispatch({ type: 'saw', task });
    else if (task.state === 'running') live(task);
    before = now;
  };
}

function tensOf(task: TaskSight): number | undefined {
  if (task.state !== 'running' || task.percent === undefined) return undefined;
  return Math.floor(task.percent / 10);
}
