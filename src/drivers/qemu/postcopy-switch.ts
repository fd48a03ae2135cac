import { withDeadline } from '../../deadline.ts';
import type { QmpClient } from './qmp/client.ts';
import type { MonitorWatch } from './session.ts';
import { compareVersions } from './programs/version.ts';

type Monitor = Pick<QmpClient, 'execute' | 'request' | 'version'>;
type Events = Pick<MonitorWatch, 'until'>;

/** QEMU checks for the order once per period of its bandwidth limit (100 ms) or pass over memory (50 ms). */
const BEGINS_MS = 500;
/**
 * In post-copy, QEMU starts its completion once it estimates that the rest takes less than `downtime-limit`. A
 * link that breaks after that loses the guest. A limit of 300 ms would put the last megabytes of a slow link at
 * risk.
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
 * QEMU 9.0 and later restore the source guest's earlier run state if post-copy fails at its very end, even if
 * the destination has run the guest for long (seen with 10.0; 7.2 does not). A guest that was stopped before the
 * switch stays stopped.
 */
function goesBack(version: string): boolean {
  return version === '' || compareVersions(version, '9.0') >= 0;
}

/**
 * Returns true if the guest was stopped for the switch; QEMU will then never run it again by itself. Returns
 * false if QEMU did not switch in time, because its thread waits for a blocked link: the guest then runs until
 * the switch. `stopping` is called before the stop order, for callers that give up during it.
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
  // Both commands are sent without a wait, because the guest is paused from the first on.
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
  // Refused if the switch begins at this moment. It cannot have finished: post-copy is held at pre-switchover.
  const { ok } = await client.request('cont', {}, signal);
  return !ok;
}
