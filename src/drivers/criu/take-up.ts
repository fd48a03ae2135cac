import path from 'node:path';
import type { DestinationOptions } from '../../port/direct.ts';
import { Arrival } from './arrival.ts';
import { isMadeFor } from './host/container-ownership.ts';
import type { Arrivals } from './destination.ts';
import { handleOf } from './handle.ts';
import type { HostContext } from './host/host-context.ts';
import { wasAllGiven } from './pages/pager-client.ts';

/**
 * Takes over a container that runs while the rest of its memory arrives, after its process has ended. Also used
 * if all memory is here, because its source may not have been informed.
 */
export async function takeUpLate(
  context: HostContext,
  options: DestinationOptions,
  arrivals: Arrivals,
): Promise<void> {
  const { guest, handle } = options;
  const known = arrivals.get(guest);
  if (known !== undefined) return known.attached();
  const record = context.records.readSync(guest);
  if (handle === undefined || record?.init === undefined) return;
  if (!isMadeFor(record, options)) return;
  const images = path.join(context.records.dirOf(guest), 'in', 'images');
  if (record.late !== true && !(await wasAllGiven(images).catch(() => false))) return;
  const arrival = new Arrival(context, handleOf(handle), '', options);
  arrivals.set(guest, arrival);
  try {
    await arrival.attach();
  } catch (error) {
    arrivals.delete(guest);
    await arrival.close(false);
    throw error;
  }
}
