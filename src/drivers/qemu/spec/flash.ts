import type { FlashSpec, GuestSpec } from './schema.ts';

/** Flash chips of a machine's firmware: its code, which the guest only reads, and its variables. Pure. */

/** The largest machines take 64 MiB of each. */
export const MAX_FLASH_BYTES = 64 * 1024 ** 2;

/** Where distributions and managers put UEFI firmware; `drivers.qemu.imageDirs` adds to them. */
export const FIRMWARE_DIRS: readonly string[] = [
  '/usr/share/OVMF',
  '/usr/share/ovmf',
  '/usr/share/AAVMF',
  '/usr/share/qemu-efi-aarch64',
  '/usr/share/edk2/ovmf',
  '/usr/share/edk2/ovmf-4m',
  '/usr/share/edk2/aarch64',
  '/usr/share/edk2/x64',
  '/usr/share/edk2-ovmf/x64',
  '/usr/share/pve-edk2-firmware',
  '/usr/share/qemu',
];

/** The chip that a QOM path is of: x86 and ARM call them differently. */
export function flashUnit(qdev: string | undefined): number | undefined {
  const unit = /^\/machine\/(?:system|virt)\.flash([01])$/.exec(qdev ?? '')?.[1];
  return unit === undefined ? undefined : Number(unit);
}

/** As QEMU and people call it. */
export function flashName(unit: number): string {
  return `pflash${unit}`;
}

/** Every chip is on a node of such a name at the destination, whatever it is called at the source. */
const CHIP_NODE = /^pflash[01]-image/;

/** Whether a node of a description is that of a chip. */
export function isChipNode(node: string): boolean {
  return CHIP_NODE.test(node);
}

/** The name of a disk's node, where the destination is to keep it. */
export function keptName(node: string, disk: string): string {
  return /^pflash[01]$/.test(disk) && !isChipNode(node) ? '' : node;
}

/** Settings of the machine by which its chips are on their nodes. */
export function flashProperties(flash: readonly FlashSpec[] = []): [string, string][] {
  return flash.map(({ unit, node }) => [flashName(unit), node]);
}

/** Nodes of chips whose content is known and which are no disks. */
export function codeNodes({ flash = [] }: Pick<GuestSpec, 'flash'>): Set<string> {
  return new Set(flash.flatMap(({ node, image }) => (image === undefined ? [] : [node])));
}
