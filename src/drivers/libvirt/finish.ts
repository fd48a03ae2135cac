import { GodwitError, toGodwitError } from '../../errors.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import { removeOriginals } from './copy-places.ts';
import type { DaemonPair } from './daemon-pair.ts';
import { endAtSource } from './left-behind.ts';
import { MARK } from './mark.ts';

/** What is to be done of a guest that has arrived. */

/** Repeatable. Where something stays at the source, all of it is in the one error, and the mark stays with the guest. */
export async function finishOrder(
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
  // The mark stays with it: whoever asks again, since this answer was lost, hears of it as well.
  if (left !== undefined) throw left;
  for (const client of [source, there]) {
    const marked = await daemons.marked(client, id, signal);
    if (marked === undefined) continue;
    await client.setMetadata(marked.domain, MARK, undefined, signal);
  }
}

/** Whether it is tried again is as the first has it; what is to be done by hand is of the other. */
function both(thrown: unknown, { message, hint }: GodwitError): GodwitError {
  const error = toGodwitError(thrown);
  const all = { ...error.toJSON(), message: `${error.message}; ${message}`.slice(0, 8192), hint };
  return new GodwitError(all, { cause: thrown });
}
