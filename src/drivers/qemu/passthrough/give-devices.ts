import type { Match } from '../assess.ts';
import { giveFiles } from '../user/access.ts';
import type { RunAs } from '../user/confine.ts';
import type { HostDevice } from './device.ts';
import { sysfsPath } from './read-device.ts';

/** Margin for mapped device memory, which is locked in addition to the guest's memory. */
const MARGIN_BYTES = 1024 ** 3;

export async function giveDevices(
  devices: ReadonlyMap<number, HostDevice>,
  guestDir: string,
  as: RunAs | undefined,
): Promise<Map<number, string>> {
  const groups = new Set([...devices.values()].flatMap(({ group }) => group ?? []));
  const wanted = [...groups].map((group) => ({ file: `/dev/vfio/${group}`, writable: true }));
  if (as !== undefined) await giveFiles(guestDir, wanted, as.gid);
  return new Map(
    [...devices].flatMap(([index, { name }]) => {
      const place = sysfsPath(name);
      return place === undefined ? [] : [[index, place] as const];
    }),
  );
}

/** Bytes to lock: a device does DMA, so all guest memory must stay in place. Undefined without devices. */
export function lockedBytes({ passthrough, spec, isPinnedLater }: Match): number | undefined {
  if (passthrough.size === 0 && isPinnedLater !== true) return undefined;
  return (spec.memory.maxBytes ?? spec.memory.bytes) + MARGIN_BYTES;
}
