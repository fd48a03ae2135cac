import { readFile, realpath } from 'node:fs/promises';
import { unescaped } from './rootfs.ts';

export function mountsBelow(mountinfo: string, directory: string): string[] {
  return mountinfo
    .split('\n')
    .map((line) => unescaped(line.split(' ')[4] ?? ''))
    .filter((point) => point === directory || point.startsWith(`${directory}/`))
    .toReversed();
}

export interface MountedIn {
  /** A process in that mount namespace; absent: this one's. */
  readonly mountsOf?: number | undefined;
  readonly run: (argv: readonly string[]) => Promise<unknown>;
}

/**
 * Unmounts everything below a directory: a failed or killed restore leaves mounts, which a deletion must not
 * enter. Rejects if one stays.
 */
export async function unmountBelow({ mountsOf, run }: MountedIn, directory: string): Promise<void> {
  // The kernel reports mount points without symbolic links.
  const real = await realpath(directory).catch(() => directory);
  const table = `/proc/${mountsOf ?? 'self'}/mountinfo`;
  for (const point of mountsBelow(await readFile(table, 'utf8'), real)) {
    await run(['umount', '--', point]);
  }
  const left = mountsBelow(await readFile(table, 'utf8'), real);
  if (left.length > 0) throw new Error(`${left[0]} is still mounted`);
}
