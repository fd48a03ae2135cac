import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from '../command.ts';
import type { Lab } from '../state.ts';
import { storageDirectory } from '../state.ts';
import type { GuestDrive } from './argv.ts';

/** A disk that a guest is to have. */
export interface DiskRequest {
  readonly bytes: number;
  /** A qcow2 image that grows; else a raw file with all its blocks. */
  readonly thin: boolean;
  /** Thin: on a backing file of the same size, which holds nothing. */
  readonly backed?: boolean;
}

/** The images of a guest's disks lie here, on the storage of the host where it was started. */
function directoryOf(lab: Lab, host: string, guest: string): string {
  return path.join(storageDirectory(lab, host), guest);
}

/** Makes the images. Throws GODWIT_LAB with what qemu-img says. */
export async function makeDisks(
  lab: Lab,
  { host, guest }: { readonly host: string; readonly guest: string },
  disks: readonly DiskRequest[],
  signal: AbortSignal | undefined,
): Promise<GuestDrive[]> {
  if (disks.length === 0) return [];
  const directory = directoryOf(lab, host, guest);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const drives: GuestDrive[] = [];
  const create = (...words: string[]): Promise<string> =>
    runCommand(['qemu-img', 'create', '-q', ...words], { signal });
  for (const [index, { bytes, thin, backed = false }] of disks.entries()) {
    const file = path.join(directory, `disk${index}.${thin ? 'qcow2' : 'raw'}`);
    if (!thin) {
      await create('-f', 'raw', '-o', 'preallocation=falloc', file, String(bytes));
    } else if (backed) {
      const base = path.join(directory, `disk${index}-base.qcow2`);
      await create('-f', 'qcow2', base, String(bytes));
      await create('-f', 'qcow2', '-F', 'qcow2', '-b', base, file);
    } else {
      await create('-f', 'qcow2', file, String(bytes));
    }
    drives.push({ file, format: thin ? 'qcow2' : 'raw', thin });
  }
  return drives;
}

/** Wherever the guest has taken them. */
export async function removeDisks(lab: Lab, guest: string): Promise<void> {
  for (const { name } of lab.members) {
    await rm(directoryOf(lab, name, guest), { recursive: true, force: true });
  }
}
