import { pass, refusal, type NamedCheck } from '../../../migration/preflight/check.ts';
import { godwitError } from '../../../errors.ts';
import type { ImageStore } from './images.ts';
import { FIRMWARE_DIRS, flashName } from '../spec/flash.ts';
import type { GuestSpec, ImageSpec } from '../spec/schema.ts';

export interface FoundImages {
  readonly images: ReadonlyMap<keyof GuestSpec['images'], string>;
  readonly romfiles: ReadonlyMap<number, string>;
  readonly code: ReadonlyMap<string, string>;
  readonly checks: readonly NamedCheck[];
}

interface ImageSearch {
  readonly guest: string;
  readonly host: string;
  readonly store: ImageStore;
  readonly imageDirs: readonly string[];
}

/**
 * Looks for each image of a description: in the configured directories, and for firmware also where it is
 * installed.
 */
export async function findImages(
  spec: GuestSpec,
  asked: ImageSearch,
  signal: AbortSignal,
): Promise<FoundImages> {
  const { imageDirs } = asked;
  const checks: NamedCheck[] = [];
  const look = async (image: ImageSpec, device: string, places: readonly string[]) => {
    const found = await asked.store.find(image, places, signal);
    checks.push(
      found === undefined
        ? missing(asked, image, device)
        : pass('images', `${device} is ${found}`, 'destination'),
    );
    return found;
  };
  const firmwareDirs = [...imageDirs, ...FIRMWARE_DIRS];
  const images = new Map<keyof GuestSpec['images'], string>();
  for (const slot of ['kernel', 'initrd', 'dtb', 'bios'] as const) {
    const image = spec.images[slot];
    if (image === undefined) continue;
    const file = await look(image, slot, slot === 'bios' ? firmwareDirs : imageDirs);
    if (file !== undefined) images.set(slot, file);
  }
  const romfiles = new Map<number, string>();
  for (const [index, device] of spec.devices.entries()) {
    if (device.romfile === undefined) continue;
    const name = `the ROM of ${device.id ?? device.driver}`;
    const file = await look(device.romfile, name, imageDirs);
    if (file !== undefined) romfiles.set(index, file);
  }
  const code = new Map<string, string>();
  for (const { unit, node, image } of spec.flash ?? []) {
    if (image === undefined) continue;
    const file = await look(image, flashName(unit), firmwareDirs);
    if (file !== undefined) code.set(node, file);
  }
  return { images, romfiles, code, checks };
}

function missing(
  { guest, host, imageDirs }: ImageSearch,
  image: ImageSpec,
  device: string,
): NamedCheck {
  const isFirmware = /^(pflash\d|bios)$/.test(device);
  const named = imageDirs.join(', ') || 'no directory (drivers.qemu.imageDirs is empty)';
  const places = isFirmware
    ? `the folders of firmware (${FIRMWARE_DIRS[0]}, ...), ${named}`
    : named;
  const what = `no file with the content of ${image.name} (${image.bytes} bytes) in ${places}`;
  const facts = { device, guest, host, what };
  const hint = isFirmware
    ? `Install the firmware in the version that the source has (its package is ovmf, edk2-ovmf or pve-edk2-firmware), or copy the source’s ${image.name} into a directory of drivers.qemu.imageDirs on ${host}: the guest keeps the code that it runs.`
    : `Copy the source’s ${image.name} into a directory of drivers.qemu.imageDirs on ${host}.`;
  const error = godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint });
  return refusal('images', error, 'destination');
}
