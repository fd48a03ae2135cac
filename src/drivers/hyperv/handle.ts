import { z } from 'zod';
import type { GuestHandle } from '../port/inventory.ts';

const handle = z.object({ driver: z.literal('hyperv'), name: z.string(), machine: z.guid() });

/** A virtual machine by its id: several may have one name, and a name may change. */
export function hypervHandle(name: string, id: string): GuestHandle {
  const made: GuestHandle & z.infer<typeof handle> = { driver: 'hyperv', name, machine: id };
  return made;
}

/** The machine's id in a handle; undefined for what is no handle of this driver. */
export function machineIn(given: GuestHandle): string | undefined {
  return handle.safeParse(given).data?.machine;
}
