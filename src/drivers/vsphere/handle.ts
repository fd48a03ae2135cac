import { z } from 'zod';
import type { GuestHandle } from '../../port/inventory.ts';

const handle = z.object({
  driver: z.literal('vsphere'),
  name: z.string(),
  /** Id in this vCenter (`vm-42`) and permanent id: a restored vCenter assigns new ids. */
  vm: z.string().max(256),
  instance: z.string().max(64),
});
export type VsphereHandle = z.infer<typeof handle>;

export function vsphereHandle(name: string, vm: string, instance: string): GuestHandle {
  const made: GuestHandle & VsphereHandle = { driver: 'vsphere', name, vm, instance };
  return made;
}

/** Undefined if this driver did not make the handle. */
export function vmIn(given: GuestHandle): VsphereHandle | undefined {
  return handle.safeParse(given).data;
}
