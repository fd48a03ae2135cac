import { askQemu } from '../../../lab/witness/monitor.ts';
import { seenQemus } from '../../../lab/witness/qemus.ts';
import type { World } from './world.ts';

/** Asks the QEMU of a lab's guest on a host over the monitor that Godwit does not use. */
export async function askGuestQemu(
  { lab }: World,
  guest: string,
  host: string,
  command: string,
  args: Record<string, unknown> = {},
): Promise<unknown> {
  const found = (await seenQemus(lab)).find((qemu) => qemu.guest === guest && qemu.host === host);
  const monitor = found?.monitors.at(-1);
  if (monitor === undefined) throw new Error(`${host} has no QEMU of ${guest} with a monitor`);
  return askQemu(monitor, command, args);
}
