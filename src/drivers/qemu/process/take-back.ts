import { systemClock } from '../../../clock.ts';
import type { HypervisorStatus } from '../../../port/direct.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import { pauseStream } from '../recovery.ts';
import type { MonitorWatch } from '../session.ts';
import { ENDED, isAbandoned, isSettled } from './stuck.ts';

/** Time that QEMU may take to leave a stream by itself before its connections are shut. */
const LEAVE_MS = 1000;
/** A guest that QEMU stopped runs again moments after the end of the stream. */
const RESUMED_MS = 1000;
const POLL_MS = 5;

/**
 * Ends the stream and waits until a guest that QEMU stopped for the switch runs again. `stopped`: Godwit stopped
 * it, so QEMU will not resume it.
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
  // Refused after post-copy began: then QEMU can only be made to close its stream.
  if (!ok) await pauseStream(client, watch, signal);
  let endedAt: number | undefined;
  for (;;) {
    const now = await watch.status(signal);
    if (isSettled(now)) return now;
    const over = ENDED.has(now.stream) || (await isAbandoned(client, signal));
    if (over) endedAt ??= performance.now();
    if (over && stopped && (await isLeft(client, signal))) return now;
    // No migration is active and the guest is paused: it was paused before, or QEMU left it so.
    if (endedAt !== undefined && performance.now() - endedAt > RESUMED_MS) return now;
    await systemClock.sleep(POLL_MS, signal);
  }
}

/**
 * The migration no longer controls the guest. A QEMU that failed to stop it for post-copy, because its disks
 * could not be flushed, keeps the state `finish-migrate` (seen with 10.0).
 */
async function isLeft(client: QmpClient, signal: AbortSignal): Promise<boolean> {
  const { status } = await client.query('query-status', {}, answers.runStatus, signal);
  return (
    status === 'paused' || (status === 'finish-migrate' && (await isAbandoned(client, signal)))
  );
}

/**
 * If a dead link takes no bytes, QEMU's threads wait in a send until TCP gives up; at the switchover its main
 * loop waits too and does not accept `migrate_cancel`.
 */
function shutStream(client: QmpClient, signal: AbortSignal): void {
  const instances = [{ type: 'migration' }];
  client.urgent('yank', { instances }, signal).catch(() => undefined);
}
