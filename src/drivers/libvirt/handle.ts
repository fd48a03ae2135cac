import { z } from 'zod';
import type { GuestHandle } from '../port/inventory.ts';

const handle = z.object({ driver: z.literal('libvirt'), name: z.string(), domain: z.uuid() });

/** A domain by its UUID: libvirt lets its name change. */
export function libvirtHandle(name: string, uuid: string): GuestHandle {
  const made: GuestHandle & z.infer<typeof handle> = { driver: 'libvirt', name, domain: uuid };
  return made;
}

/** The domain's UUID in a handle; undefined for what is no handle of this driver. */
export function domainIn(given: GuestHandle): string | undefined {
  return handle.safeParse(given).data?.domain;
}
