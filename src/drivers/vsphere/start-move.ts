import { at } from '../../xml.ts';
import type { XmlElement } from '../../xml.ts';
import type { VsphereGuest } from './guest.ts';
import type { Target } from './order.ts';
import { localizedFault, ref } from './soap.ts';
import type { Fault } from './soap.ts';
import { TaskFollower } from './task-follower.ts';
import { isUnderWay } from './task.ts';

/** vSphere waits so long for a change before it answers that there is none, s. */
const WAITS_S = 10;
const MOST_FAULTS = 64;

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
  const follower = await TaskFollower.open(client, task, signal);
  try {
    for (;;) {
      const seen = await follower.next(WAITS_S, signal);
      signal.throwIfAborted();
      if (seen === undefined || isUnderWay(seen)) continue;
      if (seen.fault !== undefined) return { errors: [seen.fault], warnings: [] };
      return foundIn(seen.result);
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
      .slice(0, MOST_FAULTS)
      .map(localizedFault);
  return { errors: faults('error'), warnings: faults('warning') };
}
