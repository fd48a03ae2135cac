import path from 'node:path';

/**
 * A libvirt of packages that are unpacked and not installed, such as that of `tools/setup.sh --only libvirt`: what of it has
 * to be seen in the place of the machine's own, and its programs.
 */

const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
/** Where its daemon finds its drivers and descriptions, beside what it links to. */
export const LIBVIRT_PARTS = ['usr/share/libvirt', `${LIBRARIES}/libvirt`] as const;

/**
 * Of the machine's QEMU. One of a prefix looks there too for what it lacks, while libvirt asks what it is able to do, and
 * ends at a module of another version. So only those stay without which the machine's own does not run.
 */
export const QEMU_MODULES = `${LIBRARIES}/qemu`;

/** The command line that runs a program of libvirt: of these packages, or the machine's own where there are none. */
export function libvirtProgram(
  packages: string | undefined,
  folder: 'bin' | 'sbin',
  [program = '', ...words]: readonly string[],
): string[] {
  if (packages === undefined) return [program, ...words];
  const libraries = `LD_LIBRARY_PATH=${path.join(packages, LIBRARIES)}`;
  return ['env', libraries, path.join(packages, 'usr', folder, program), ...words];
}
