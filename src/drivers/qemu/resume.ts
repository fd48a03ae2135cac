import { systemClock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import { haltKind } from './events.ts';
import * as answers from './qmp/answers.ts';
import type { QmpClient } from './qmp/client.ts';
import type { MonitorWatch } from './session.ts';

type Monitor = Pick<QmpClient, 'execute' | 'query'>;
type Events = Pick<MonitorWatch, 'until'>;

const RESUME_MS = 10_000;
/** The guest is paused during this wait. */
const POLL_MS = 1;

/**
 * Post-copy: waits until the guest's device state is loaded. A QEMU that is told to run earlier starts the guest
 * once the state is loaded, even if the stream broke meanwhile, and then dies. The guest would run for moments
 * and could not be recovered.
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
  if (stream.status === 'failed') throw await lost('the stream broke before the guest could run');
}

/** QEMU reports a failed stream just before it resumes the guest by itself. */
const MAY_RESUME_MS = 200;
const LOOK_MS = 5;

/** Stops the guest, and keeps it stopped if QEMU is about to run it. */
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

const ARRIVES_MS = 50;

/**
 * A guest that halted by itself at the switch arrives halted: `cont` would override its owner's settings or be
 * refused forever. A guest that only waits for an order is `paused`.
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
 * Runs the guest; resolves once it runs, or has arrived halted. In post-copy a QEMU may stall for a page before
 * it answers; its event also reports the resume.
 */
export async function resume(
  client: Monitor,
  watch: Events,
  lost: (reason: string) => Promise<Error>,
  signal: AbortSignal,
): Promise<void> {
  await withDeadline('resuming the guest', RESUME_MS, signal, async (inner) => {
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
      // If the guest does not run yet, its last state is still arriving; it then starts by itself or arrives
      // halted.
      return running || Promise.race([runs, fails, untilHalted(client, inner)]);
    })();
    for (const each of [runs, fails, answered]) each.catch(() => undefined);
    if (!(await Promise.race([runs, answered])))
      throw await lost('the stream broke before the guest could run');
  });
}
