import { systemClock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import { haltKind } from './events.ts';
import * as answers from './qmp/answers.ts';
import type { QmpClient } from './qmp/client.ts';
import type { MonitorWatch } from './session.ts';

type Monitor = Pick<QmpClient, 'execute' | 'query'>;
type Events = Pick<MonitorWatch, 'until'>;

const RESUME_MS = 10_000;
/** The guest is paused meanwhile. */
const POLL_MS = 1;

/**
 * Post-copy: waits until the state of the guest's devices is loaded. A QEMU that is asked to run before that does so by
 * itself once it is, also when the stream has broken meanwhile, which it does not outlive then: the guest would have run
 * for moments, and could run nowhere any more.
 */
export async function untilLoaded(
  client: Monitor,
  lost: (reason: string) => Promise<Error>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const { status } = await client.query('query-status', {}, answers.runStatus, signal);
    if (status !== 'inmigrate') break;
    await systemClock.sleep(POLL_MS, signal);
  }
  const stream = await client.query('query-migrate', {}, answers.migrationState, signal);
  // It is about to end.
  if (stream.status === 'failed') throw await lost('the stream broke before the guest could run');
}

/** QEMU says that its stream has failed a moment before it runs its guest again by itself. */
const MAY_RESUME_MS = 200;
const LOOK_MS = 5;

/** Stops the guest, and sees to it that it stays so where QEMU is about to run it. */
export async function stop(client: Monitor, signal: AbortSignal): Promise<void> {
  await withDeadline('stopping the guest', RESUME_MS, signal, async (inner) => {
    const until = performance.now() + MAY_RESUME_MS;
    for (let runs = true; runs || performance.now() < until;) {
      if (runs) await client.execute('stop', {}, inner);
      await systemClock.sleep(LOOK_MS, inner);
      runs = (await client.query('query-status', {}, answers.runStatus, inner)).running;
    }
  });
}

/** Between two looks at a guest whose last state is on its way in, ms. */
const ARRIVES_MS = 50;

/**
 * A guest that stopped by itself in the moment of its switch arrives so: `cont` would run it against its owner's settings,
 * or be refused for ever. A guest that only waits for its order is `paused`.
 */
function arrivedHalted(status: string): boolean {
  const kind = haltKind(status);
  return kind !== undefined && kind !== 'paused';
}

async function untilHalted(client: Monitor, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    const { status } = await client.query('query-status', {}, answers.runStatus, signal);
    if (arrivedHalted(status)) return true;
    await systemClock.sleep(ARRIVES_MS, signal);
  }
}

/**
 * Runs the guest; resolves once it runs, or is here as it halted at the switch. In post-copy a QEMU that runs it may stall itself before it answers, for
 * want of a page: its event reports it as well.
 */
export async function resume(
  client: Monitor,
  watch: Events,
  lost: (reason: string) => Promise<Error>,
  signal: AbortSignal,
): Promise<void> {
  await withDeadline('resuming the guest', RESUME_MS, signal, async (inner) => {
    // A QEMU that is gone ends this wait too.
    const runs = watch
      .until(({ type }) => type === 'resumed', inner)
      .then(({ type }) => type === 'resumed');
    const fails = watch.until(({ type }) => type === 'failed', inner).then(() => false);
    const answered = (async () => {
      const { status } = await client.query('query-status', {}, answers.runStatus, inner);
      if (arrivedHalted(status)) return true;
      const [, { running }] = await Promise.all([
        client.execute('cont', {}, inner),
        client.query('query-status', {}, answers.runStatus, inner),
      ]);
      // Where it does not run yet, its last state is still on its way in; it starts by itself then, or arrives halted.
      return running || Promise.race([runs, fails, untilHalted(client, inner)]);
    })();
    for (const each of [runs, fails, answered]) each.catch(() => undefined);
    if (!(await Promise.race([runs, answered])))
      throw await lost('the stream broke before the guest could run');
  });
}
