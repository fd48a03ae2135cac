import { godwitError, type GodwitError } from '../../../errors.ts';
import { identityOf, inodesOf, openFiles } from '../../../system/files/open-files.ts';
import { listQemuProcesses, type QemuProcess } from '../guest/process.ts';
import { parseCommandLine } from '../spec/cmdline.ts';
import { flashName } from '../spec/flash.ts';
import { knownAs } from '../../known-as.ts';
import { nameOf } from '../spec/guest-name.ts';
import type { GuestSpec } from '../spec/schema.ts';

/**
 * QEMU does not lock a variable store. If two guests write to one file, each overwrites all variables of the
 * other when it arrives. Godwit therefore checks whether another guest's QEMU on this host has the file open. It
 * checks again after the open, so that two guests that arrive at once see each other.
 */

const HINT =
  'Give each guest a variable store of its own: shut one of them down, copy the file, and start it on the copy.';

interface SharedFile {
  readonly device: string;
  readonly file: string;
  readonly by: string;
}

export function storesOf(
  { flash = [] }: Pick<GuestSpec, 'flash'>,
  files: ReadonlyMap<string, string>,
): Map<string, string> {
  return new Map(
    flash.flatMap(({ unit, node, image }) => {
      const file = files.get(node);
      return image !== undefined || file === undefined ? [] : [[flashName(unit), file] as const];
    }),
  );
}

async function sharedStore(
  guest: string,
  stores: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<SharedFile | undefined> {
  if (stores.size === 0) return undefined;
  const wanted = new Map<string, [string, string]>();
  for (const [device, file] of stores) {
    const id = await identityOf(file);
    if (id !== undefined) wanted.set(id, [device, file]);
  }
  const inodes = await inodesOf([...stores.values()]);
  for (const process of await listQemuProcesses(signal)) {
    const by = ownerOf(process);
    if (by === guest) continue;
    for (const { id } of await openFiles(process, inodes)) {
      const [device, file] = wanted.get(id) ?? [];
      if (device !== undefined && file !== undefined) return { device, file, by };
    }
  }
  return undefined;
}

/** Error at the source: GODWIT_DISK_LOCAL, because a move would share or remove the other guest's file. */
export async function whyNotAlone(
  guest: string,
  stores: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<GodwitError | undefined> {
  const found = await sharedStore(guest, stores, signal);
  if (found === undefined) return undefined;
  const { device, file, by } = found;
  const reason = `${by} has this variable store open as well`;
  return godwitError('GODWIT_DISK_LOCAL', { device, guest, file, reason }, { hint: HINT });
}

export async function whyTaken(
  { guest, host }: { readonly guest: string; readonly host: string },
  stores: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<GodwitError | undefined> {
  const found = await sharedStore(guest, stores, signal);
  if (found === undefined) return undefined;
  const { device, file, by } = found;
  const reason = `${by}, which runs there, has its variable store ${file} open`;
  return godwitError('GODWIT_DISK_MISSING', { host, device, guest, reason }, { hint: HINT });
}

export function ownerOf({ argv, pid }: QemuProcess): string {
  return knownAs(nameOf(parseCommandLine(argv)) ?? `qemu-${pid}`);
}
