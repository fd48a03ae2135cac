import type { GuestSpec } from '../schema.ts';
import type { Refused } from './judge.ts';

/** A device that is passed through says what takes its place there, and no other does: which one, the destination decides. Pure. */
export function judgePassthrough({ devices }: GuestSpec): Refused[] {
  return devices.flatMap(({ driver, id, passthrough }, index): Refused[] => {
    const isPassedThrough = driver === 'vfio-pci';
    if (isPassedThrough === (passthrough !== undefined)) return [];
    const allowed = isPassedThrough
      ? 'one that says what the device of the host is'
      : 'a device of the host in a vfio-pci alone';
    return [{ path: ['devices', index, 'passthrough'], what: id ?? driver, allowed }];
  });
}
