import { chmod, chown, stat } from 'node:fs/promises';
import type { RunAs } from './confine.ts';
import { deviceGroup, type Range } from './ids.ts';

/** Devices that QEMU opens by itself, if they exist. */
const DEVICES = ['/dev/kvm', '/dev/net/tun', '/dev/vhost-net', '/dev/userfaultfd'] as const;

/**
 * Groups through which a guest's QEMU may open this host's devices. A device that only root can open is given to
 * a Godwit group and keeps it; only QEMUs that Godwit starts are members.
 */
export async function deviceGroups(range: Range): Promise<number[]> {
  const groups = new Set<number>();
  for (const device of DEVICES) {
    const group = await groupOf(device, deviceGroup(range)).catch(() => undefined);
    if (group !== undefined) groups.add(group);
  }
  return [...groups].toSorted((one, other) => one - other);
}

/** User without files that may open devices. It can do exactly what a guest's QEMU can. */
export async function deviceUser(range: Range): Promise<RunAs> {
  const own = deviceGroup(range);
  return { uid: own, gid: own, groups: await deviceGroups(range) };
}

async function groupOf(device: string, own: number): Promise<number | undefined> {
  const { uid, gid, mode } = await stat(device);
  if ((mode & 0o006) === 0o006) return undefined;
  if (gid !== 0 && (mode & 0o060) === 0o060) return gid;
  await chown(device, uid, own);
  await chmod(device, (mode & 0o7777) | 0o060);
  return own;
}
