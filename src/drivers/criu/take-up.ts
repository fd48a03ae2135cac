import type { DestinationOptions } from '../port/direct.ts';
import { Arrival } from './arrival.ts';
import { isOf } from './brought.ts';
import type { Arrivals } from './destination.ts';
import { handleOf } from './handle.ts';
import type { HostContext } from './host-context.ts';

/** Takes up a container that runs while the rest of its memory comes, in the place of a process that has ended. */
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
  if (record.late !== true || !isOf(record, options)) return;
  const arrival = new Arrival(context, handleOf(handle), '', options);
  arrivals.set(guest, arrival);
  try {
    await arrival.attach();
  } catch (error) {
    // The next one tries it anew.
    arrivals.delete(guest);
    await arrival.close(false);
    throw error;
  }
}
