import { z } from 'zod';
import type { GuestHandle } from '../../port/inventory.ts';

const handle = z.object({
  driver: z.literal('vsphere'),
  name: z.string(),
  /** Its id in this vCenter (`vm-42`), and what it is by itself: a vCenter that is restored gives ids anew. */
  vm: z.string().max(256),
  instance: z.string().max(64),
});
export type VsphereHandle = z.infer<typeof handle>;

export function vsphereHandle(name: string, vm: string, instance: string): GuestHandle {
  const made: GuestHandle & VsphereHandle = { driver: 'vsphere', name, vm, instance };
  return made;
}

/** Undefined for what is no handle of this driver. */
export function vmIn(given: GuestHandle): VsphereHandle | undefined {
  return handle.safeParse(given).data;
}
