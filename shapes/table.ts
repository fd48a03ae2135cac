import type { Shape } from './shape.ts';
import { LIBVIRT } from './table/libvirt.ts';
import { NOVA } from './table/nova.ts';
import { PROXMOX } from './table/proxmox.ts';
import { SCRIPTS } from './table/scripts.ts';
import { DISK_TRAITS } from './table/trait-disks.ts';
import { ATTACHED_TRAITS } from './table/trait-attached.ts';
import { DEVICE_TRAITS } from './table/trait-devices.ts';
import { MACHINE_TRAITS } from './table/trait-machine.ts';
import { MEMORY_TRAITS } from './table/trait-memory.ts';
import { TRAITS } from './table/traits.ts';

/** All shapes; docs/guests.md is made from them. */
export const SHAPES: readonly Shape[] = [
  ...LIBVIRT,
  ...PROXMOX,
  ...NOVA,
  ...SCRIPTS,
  ...TRAITS,
  ...DISK_TRAITS,
  ...ATTACHED_TRAITS,
  ...MEMORY_TRAITS,
  ...MACHINE_TRAITS,
  ...DEVICE_TRAITS,
];
