import { chmod, chown, stat } from 'node:fs/promises';
import type { RunAs } from './confine.ts';
import { deviceGroup, type Range } from './ids.ts';

/** What QEMU opens by itself, where it is there. */
const DEVICES = ['/dev/kvm', '/dev/net/tun', '/dev/vhost-net', '/dev/userfaultfd'] as const;

/**
 * The groups by which a guest's QEMU may open this host's devices. One that is root's alone is put into a group of
 * Godwit's own, which stays: of all that is on this host only QEMUs that Godwit starts are members of it.
 */
export async function deviceGroups(range: Range): Promise<number[]> {
  const groups = new Set<number>();
  for (const device of DEVICES) {
    const group = await groupOf(device, deviceGroup(range)).catch(() => undefined);
    if (group !== undefined) groups.add(group);
  }
  return [...groups].toSorted((one, other) => one - other);
}

/** A user who owns nothing and may open devices: what it can do, a guest's QEMU can. */
export async function deviceUser(range: Range): Promise<RunAs> {
  const own = deviceGroup(range);
  return { uid: own, gid: own, groups: await deviceGroups(range) };
}

/** Undefined: everybody may, or it is not there. */
async function groupOf(device: string, own: number): Promise<number | undefined> {
  const { uid, gid, mode } = await stat(device);
  if ((mode & 0o006) === 0o006) return undefined;
  if (gid !== 0 && (mode & 0o060) === 0o060) return gid;
  await chown(device, uid, own);
  await chmod(device, (mode & 0o7777) | 0o060);
  return own;
}
