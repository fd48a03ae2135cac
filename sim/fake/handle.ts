import { z } from 'zod';
import type { GuestHandle } from '../../src/port/inventory.ts';

/** On purpose not what another driver's handle looks like: whoever reads in a handle that is not its own finds nothing. */
const handle = z.object({ instance: z.number().int() });

export function fakeHandle(name: string, instance: number): GuestHandle {
  const made: GuestHandle & z.infer<typeof handle> = { driver: 'fake', name, instance };
  return made;
}

/** The number of the instance; undefined for what is no handle of this driver. */
export function instanceIn(given: GuestHandle): number | undefined {
  return handle.safeParse(given).data?.instance;
}
