import { systemClock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import * as answers from './qmp/answers.ts';
import type { QmpClient } from './qmp/client.ts';
import type { MonitorWatch } from './session.ts';

const RESUME_MS = 10_000;
/** The guest stands still meanwhile. */
const POLL_MS = 1;

/**
 * Post-copy: waits until the state of the guest's devices is loaded. A QEMU that is told to run before that does so by
 * itself once it is, also when the stream has broken meanwhile, which it does not outlive then: the guest would have run
 * for moments, and could run nowhere any more.
 */
export async function untilLoaded(
  client: QmpClient,
  lost: (reason: string) => Error,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const { status } = await client.query('query-status', {}, answers.runStatus, signal);
    if (status !== 'inmigrate') break;
    await systemClock.sleep(POLL_MS, signal);
  }
  const stream = await client.query('query-migrate', {}, answers.migrationState, signal);
  // It is about to end.
  if (stream.status === 'failed') throw lost('the stream broke before the guest could run');
}

/** Runs the guest; resolves once it runs. */
export async function resume(
  client: QmpClient,
  watch: MonitorWatch,
  lost: (reason: string) => Error,
  signal: AbortSignal,
): Promise<void> {
  await withDeadline('resuming the guest', RESUME_MS, signal, async (inner) => {
    const [, status] = await Promise.all([
      client.execute('cont', {}, inner),
      client.query('query-status', {}, answers.runStatus, inner),
    ]);
    if (status.running) return;
    // Its last state may still be on its way in; it starts by itself then.
    const event = await watch.until(({ type }) => type === 'resumed' || type === 'failed', inner);
    if (event.type !== 'resumed') throw lost('the stream broke before the guest could run');
  });
}
