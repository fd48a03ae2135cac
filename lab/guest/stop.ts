import { rm } from 'node:fs/promises';
import path from 'node:path';
import { endProcesses } from '../processes.ts';
import type { Lab } from '../state.ts';
import { imagesInUse } from '../witness/locks.ts';
import { seenQemus } from '../witness/qemus.ts';
import { labGuest, releaseGuest } from './registry.ts';
import { removeDisks } from './disks.ts';
import { removeTap } from './start.ts';
import { tapName } from '../plan.ts';

/**
 * Ends a guest of the lab wherever it is now, with its taps and files on every host.
 * Throws GODWIT_GUEST_UNKNOWN when the lab has no such guest.
 */
export async function stopGuest(lab: Lab, name: string): Promise<void> {
  const guest = await labGuest(lab, name);
  const seen = (await seenQemus(lab)).filter((qemu) => qemu.guest === name);
  // One that was moved on its host lies elsewhere than the others.
  const images = (await imagesInUse(lab, name)).filter((file) => file.startsWith(`${lab.dir}/`));
  await endProcesses(async () => (await seenQemus(lab)).filter((qemu) => qemu.guest === name), {
    graceMs: 1000,
  });
  for (const member of lab.members) {
    const taps = seen.filter((qemu) => qemu.host === member.name).flatMap((qemu) => qemu.taps);
    if (member.name === guest.startedOn) taps.push(tapName(guest.index));
    for (const tap of new Set(taps)) await removeTap(lab, member, tap);
    await rm(path.join(member.stateDir, 'guests', name), { recursive: true, force: true });
  }
  await removeDisks(lab, name);
  for (const image of images) await rm(image, { force: true });
  await releaseGuest(lab, name, guest.index);
}
