import { withDeadline } from '../../deadline.ts';
import type { QmpClient } from './qmp/client.ts';
import type { MonitorWatch } from './session.ts';
import { compareVersions } from './programs/version.ts';

/** The order to go over to post-copy. */

type Monitor = Pick<QmpClient, 'execute' | 'request' | 'version'>;
type Events = Pick<MonitorWatch, 'until'>;

/** QEMU looks at the order once in a period of its bandwidth limit (100 ms) or pass over memory (50 ms). */
const BEGINS_MS = 500;
/**
 * In post-copy too QEMU goes over to its end once what is left takes less than `downtime-limit` by its own estimate, and a
 * link that breaks after that loses the guest: with 300 ms it would be the last megabytes of a link that has become slow.
 */
const LAST_MS = 1;
const BEGUN: ReadonlySet<string> = new Set([
  'pre-switchover',
  'device',
  'postcopy-active',
  'completed',
  'failed',
  'cancelled',
  'lost',
]);

/**
 * QEMU 9.0 and later run the source's guest again where post-copy fails at its very end, when the destination has run it
 * for long: they go back to what the guest did before the switch (10.0 seen; 7.2 does not). A guest that was stopped
 * before has nothing to go back to.
 */
function goesBack(version: string): boolean {
  return version === '' || compareVersions(version, '9.0') >= 0;
}

/**
 * Resolves true where the guest was stopped for it: QEMU will then not run it again by itself, whatever becomes of the
 * switch. Where QEMU does not come to the switch in time (its link takes nothing, so its thread waits), the guest goes
 * on until it does, and the answer is false: better a switch without this guard than a guest that is paused for
 * a dead link. `stopping` is called before the order to stop it: whoever gives up while that is under way has to know.
 */
export async function startPostcopy(
  client: Monitor,
  watch: Events,
  signal: AbortSignal,
  stopping: () => void = () => {},
): Promise<boolean> {
  await client.execute('migrate-set-parameters', { 'downtime-limit': LAST_MS }, signal);
  if (!goesBack(client.version)) {
    await client.execute('migrate-start-postcopy', {}, signal);
    return false;
  }
  stopping();
  // One after the other without a wait between: the guest is paused from the first on.
  await Promise.all([
    client.execute('stop', {}, signal),
    client.execute('migrate-start-postcopy', {}, signal),
  ]);
  const begins = withDeadline('the switch to post-copy to begin', BEGINS_MS, signal, (inner) =>
    watch.until(({ type }) => BEGUN.has(type), inner),
  );
  const hasBegun = await begins.then(
    () => true,
    () => false,
  );
  signal.throwIfAborted();
  if (hasBegun) return true;
  // Refused where it has begun in this moment. It cannot be over by then: post-copy's switch is held (pre-switchover).
  const { ok } = await client.request('cont', {}, signal);
  return !ok;
}
