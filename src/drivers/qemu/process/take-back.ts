import { systemClock } from '../../../clock.ts';
import type { HypervisorStatus } from '../../../port/direct.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import { pauseStream } from '../recovery.ts';
import type { MonitorWatch } from '../session.ts';
import { ENDED, isAbandoned, isSettled } from './stuck.ts';

/** How long QEMU may take to leave a stream by itself before its connections are shut under it. */
const LEAVE_MS = 1000;
/** A guest that QEMU stopped runs again within moments of the end of the stream. */
const RESUMED_MS = 1000;
const POLL_MS = 5;

/**
 * Ends the stream, and waits until a guest that QEMU stopped for the switch runs again; `stopped`: Godwit stopped it, so
 * it will not.
 */
export async function takeBack(
  client: QmpClient,
  watch: MonitorWatch,
  stopped: boolean,
  signal: AbortSignal,
): Promise<HypervisorStatus> {
  const shut = setTimeout(() => shutStream(client, signal), LEAVE_MS);
  try {
    return await takenBack(client, watch, stopped, signal);
  } finally {
    clearTimeout(shut);
  }
}

async function takenBack(
  client: QmpClient,
  watch: MonitorWatch,
  stopped: boolean,
  signal: AbortSignal,
): Promise<HypervisorStatus> {
  const before = await watch.status(signal);
  if (isSettled(before)) return before;
  const { ok } = await client.request('migrate_cancel', {}, signal);
  // Refused once post-copy has begun: QEMU can only be made to close its stream then.
  if (!ok) await pauseStream(client, watch, signal);
  let endedAt: number | undefined;
  for (;;) {
    const now = await watch.status(signal);
    if (isSettled(now)) return now;
    const over = ENDED.has(now.stream) || (await isAbandoned(client, signal));
    if (over) endedAt ??= performance.now();
    if (over && stopped && (await isLeft(client, signal))) return now;
    // Nothing is under way and it is paused: somebody paused it before, or QEMU left it so.
    if (endedAt !== undefined && performance.now() - endedAt > RESUMED_MS) return now;
    await systemClock.sleep(POLL_MS, signal);
  }
}

/**
 * The guest is no longer in the hands of the migration. A QEMU that failed to stop it for post-copy, since a copy of its
 * disks could not be flushed, calls it `finish-migrate` for good (10.0 seen).
 */
async function isLeft(client: QmpClient, signal: AbortSignal): Promise<boolean> {
  const { status } = await client.query('query-status', {}, answers.runStatus, signal);
  return (
    status === 'paused' || (status === 'finish-migrate' && (await isAbandoned(client, signal)))
  );
}

/**
 * Where a dead link takes no bytes, QEMU's threads wait in a send until TCP gives up, and at the switchover its main
 * loop with them: then not even `migrate_cancel` is heard.
 */
function shutStream(client: QmpClient, signal: AbortSignal): void {
  const instances = [{ type: 'migration' }];
  // Refused where the stream has just ended, which is as well.
  client.urgent('yank', { instances }, signal).catch(() => undefined);
}
