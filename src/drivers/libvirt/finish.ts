import { toGodwitError } from '../../errors.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import { removeOriginals } from './copy-places.ts';
import type { DaemonPair } from './daemon-pair.ts';
import { endAtSource, leaveAtSource } from './left-behind.ts';
import { both } from './left-to-operator.ts';
import { MARK } from './mark.ts';

/** What is to be done of a guest that has arrived. */

/**
 * Repeatable. All that stays at the source is in the one error, and the mark stays with the guest. If only the operator
 * reported that the guest has arrived, a copy or a definition of it at the source stays, and loses its autostart.
 */
export async function finishOrder(
  daemons: DaemonPair,
  order: ManagedOrder,
  signal: AbortSignal,
): Promise<void> {
  try {
    await finishArrived(daemons, order, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const isUnproved = order.vouched === 'destination' && toGodwitError(thrown).retryable;
    const left = isUnproved
      ? await daemons.reported('autostart', () => leaveAtSource(daemons, order, signal))
      : undefined;
    throw left === undefined ? thrown : both(thrown, left);
  }
}

async function finishArrived(
  daemons: DaemonPair,
  order: ManagedOrder,
  signal: AbortSignal,
): Promise<void> {
  const { id, to, copies = [], keepSource } = order;
  const { source } = daemons;
  const there = await daemons.destination(to, signal);
  const arrived = await daemons.marked(there, id, signal);
  // libvirt refuses it to a guest without a definition, whatever the mark says.
  if (arrived?.mark.autostart === 'yes' && (await there.isPersistent(arrived.domain, signal)))
    await there.setAutostart(arrived.domain, true, signal);
  const left = await daemons.reported('undefine', () => endAtSource(daemons, order, signal));
  if (copies.length > 0 && keepSource !== true) {
    try {
      await daemons.reported('vol-delete', () => removeOriginals(daemons, order, signal));
    } catch (thrown) {
      throw left === undefined ? thrown : both(thrown, left);
    }
  }
  // The mark stays with it: a caller that asks again, since this answer was lost, gets the same one.
  if (left !== undefined) throw left;
  for (const client of [source, there]) {
    const marked = await daemons.marked(client, id, signal);
    if (marked === undefined) continue;
    await client.setMetadata(marked.domain, MARK, undefined, signal);
  }
}
