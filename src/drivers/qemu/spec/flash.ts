import type { FlashSpec, GuestSpec } from './schema.ts';

/** Flash chips of a machine's firmware: read-only code, and variables. Pure. */

/** The largest machines have 64 MiB per chip. */
export const MAX_FLASH_BYTES = 64 * 1024 ** 2;

/** UEFI firmware directories of distributions and managers; `drivers.qemu.imageDirs` adds to them. */
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

/** Chip of a QOM path; the paths differ between x86 and ARM. */
export function flashUnit(qdev: string | undefined): number | undefined {
  const unit = /^\/machine\/(?:system|virt)\.flash([01])$/.exec(qdev ?? '')?.[1];
  return unit === undefined ? undefined : Number(unit);
}

export function flashName(unit: number): string {
  return `pflash${unit}`;
}

/** A chip has a node of this form at the destination, whatever its name at the source. */
const CHIP_NODE = /^pflash[01]-image/;

export function isChipNode(node: string): boolean {
  return CHIP_NODE.test(node);
}

export function keptName(node: string, disk: string): string {
  return /^pflash[01]$/.test(disk) && !isChipNode(node) ? '' : node;
}

export function flashProperties(flash: readonly FlashSpec[] = []): [string, string][] {
  return flash.map(({ unit, node }) => [flashName(unit), node]);
}

/** Nodes of chips with known contents, which are not disks. */
export function codeNodes({ flash = [] }: Pick<GuestSpec, 'flash'>): Set<string> {
  return new Set(flash.flatMap(({ node, image }) => (image === undefined ? [] : [node])));
}
