import { at, type XmlElement } from '../../formats/xml.ts';
import type { VsphereClient } from './client.ts';
import type { VsphereGuest } from './guest.ts';
import type { Target } from './order.ts';
import { localizedFault, ref, type Fault, type Ref } from './soap.ts';
import { TaskFollower } from './task-follower.ts';
import { isUnderWay, type Task } from './task.ts';

/** vSphere waits so long for a change before it answers that there is none, s. */
const WAITS_S = 10;
const MAX_FAULTS = 64;

export interface Found {
  readonly errors: readonly Fault[];
  readonly warnings: readonly Fault[];
}

/** Has vSphere itself judge the move (CheckRelocate_Task). It starts nothing, and its own fault counts as an error found. */
export async function startMove(
  { client, ref: vm }: VsphereGuest,
  { spec }: Target,
  signal: AbortSignal,
): Promise<Found> {
  const checker = client.content.vmProvisioningChecker;
  const task = await client.callForRef(
    'CheckRelocate_Task',
    checker,
    [ref('vm', vm), spec],
    signal,
  );
  const { fault, result } = await taskEnd(client, task, signal);
  return fault === undefined ? foundIn(result) : { errors: [fault], warnings: [] };
}

/** Waits for the end of a task that only checks. */
export async function taskEnd(
  client: VsphereClient,
  task: Ref,
  signal: AbortSignal,
): Promise<Pick<Task, 'fault' | 'result'>> {
  const follower = await TaskFollower.open(client, task, signal);
  try {
    for (;;) {
      const seen = await follower.next(WAITS_S, signal);
      signal.throwIfAborted();
      if (seen !== undefined && !isUnderWay(seen)) return seen;
    }
  } finally {
    await follower.close(signal);
  }
}

/** Of an ArrayOfCheckResult. */
export function foundIn(result: XmlElement | undefined): Found {
  const results = result === undefined ? [] : at(result, 'CheckResult');
  const faults = (name: string): Fault[] =>
    results
      .flatMap((each) => at(each, name))
      .slice(0, MAX_FAULTS)
      .map(localizedFault);
  return { errors: faults('error'), warnings: faults('warning') };
}
