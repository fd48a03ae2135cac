import { existsSync } from 'node:fs';
import path from 'node:path';
import type { LabHost } from './state.ts';

const KERNELS_OWN = '/proc/sys/kernel/random/boot_id';
const SCRIPT = `mount --bind "$0" ${KERNELS_OWN} && exec "$@"`;

/**
 * The boot id of a host that has lost its power. Until then a host has the boot id of the machine: hosts on one kernel
 * know a block device that they share by it.
 */
export function bootIdFile({ dir }: Pick<LabHost, 'dir'>): string {
  return path.join(dir, 'boot_id');
}

/** The command line that runs `argv` with the boot id of its host; it is entered among mounts that are its own. */
export function withBootId(host: Pick<LabHost, 'dir'>, argv: readonly string[]): readonly string[] {
  const file = bootIdFile(host);
  return existsSync(file) ? ['/bin/sh', '-c', SCRIPT, file, ...argv] : argv;
}
