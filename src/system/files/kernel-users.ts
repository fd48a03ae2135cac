import { execFile } from 'node:child_process';
import { readFile, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { isDevice, type FileIdentity } from '../../migration/image-identity.ts';
import { unescaped } from './mounts.ts';

/** Files that the kernel itself uses: loop devices, swap, exports of iSCSI and NVMe targets, stacked devices. */

export interface NamedUser {
  /** An absolute path, or the identity of a file or device. */
  readonly file: string;
  readonly by: string;
  readonly mayWrite: boolean;
}

const MAX_ENTRIES = 4096;

const LOSETUP_MS = 5000;
const MAX_LOSETUP_BYTES = 4 << 20;

async function entries(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(() => [])).slice(0, MAX_ENTRIES);
}

const text = (file: string): Promise<string> =>
  readFile(file, 'utf8').then(
    (read) => read.trim(),
    () => '',
  );

/** Device and inode of the file behind each loop device. */
export type BackingFiles = ReadonlyMap<string, FileIdentity>;

const loopDevices = z.object({
  loopdevices: z.array(
    z.object({
      name: z.string().max(256),
      'back-maj:min': z
        .string()
        .trim()
        .regex(/^\d+:\d+$/)
        .nullable(),
      'back-ino': z.coerce.bigint().nullable(),
    }),
  ),
});

/**
 * Asks each loop device (LOOP_GET_STATUS64), because /sys has the path in another mount namespace. Empty if `losetup`
 * is missing or not permitted.
 */
export async function backingFiles(signal: AbortSignal): Promise<BackingFiles> {
  const words = ['--list', '--json', '--output', 'NAME,BACK-MAJ:MIN,BACK-INO'];
  const options = { timeout: LOSETUP_MS, signal, maxBuffer: MAX_LOSETUP_BYTES };
  const told = await promisify(execFile)('losetup', words, options).catch(() => undefined);
  signal.throwIfAborted();
  const read = loopDevices.safeParse(parsed(told?.stdout ?? ''));
  const devices = read.success ? read.data.loopdevices : [];
  return new Map(
    devices.flatMap(({ name, 'back-maj:min': device, 'back-ino': inode }) =>
      device === null || inode === null
        ? []
        : [[path.basename(name), `${deviceNumber(device)}:${inode}`] as const],
    ),
  );
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

export async function loops(
  sys: string,
  backing: (signal: AbortSignal) => Promise<BackingFiles>,
  signal: AbortSignal,
): Promise<NamedUser[]> {
  const names = (await entries(path.join(sys, 'block'))).filter((name) => name.startsWith('loop'));
  const found: (NamedUser & { readonly name: string })[] = [];
  for (const name of names) {
    const file = await text(path.join(sys, 'block', name, 'loop/backing_file'));
    const mayWrite = (await text(path.join(sys, 'block', name, 'ro'))) !== '1';
    if (file !== '') found.push({ name, file, by: `the loop device /dev/${name}`, mayWrite });
  }
  if (found.length === 0) return [];
  const own = await backing(signal);
  return found.map(({ name, file, by, mayWrite }) => {
    const identity = own.get(name);
    if (identity === undefined) return { file, by, mayWrite };
    return { file: identity, by: `${by} (${file.slice(0, 256)})`, mayWrite };
  });
}

/** `/proc/swaps` uses the kernel's usual escapes. */
export async function swaps(proc: string): Promise<NamedUser[]> {
  const [, ...lines] = (await text(path.join(proc, 'swaps'))).split('\n');
  return lines.flatMap((line) => {
    const file = unescaped(/^\S+/.exec(line)?.[0] ?? '');
    return file === '' ? [] : [{ file, by: 'this host’s swap', mayWrite: true }];
  });
}

export async function targets(config: string): Promise<NamedUser[]> {
  const found: NamedUser[] = [];
  const cores = path.join(config, 'target/core');
  for (const group of await entries(cores)) {
    for (const name of await entries(path.join(cores, group))) {
      const file = await text(path.join(cores, group, name, 'udev_path'));
      if (file.startsWith('/'))
        found.push({ file, by: `the SCSI target ${group}/${name} of this host`, mayWrite: true });
    }
  }
  const systems = path.join(config, 'nvmet/subsystems');
  for (const system of await entries(systems)) {
    for (const number of await entries(path.join(systems, system, 'namespaces'))) {
      const file = await text(path.join(systems, system, 'namespaces', number, 'device_path'));
      if (file.startsWith('/'))
        found.push({ file, by: `the NVMe target ${system} of this host`, mayWrite: true });
    }
  }
  return found;
}

/** Devices stacked on one of these or its partitions, and the numbers (`8:17`) that each can be mounted by. */
export async function onDevices(
  ids: Iterable<FileIdentity>,
  sys: string,
): Promise<{
  readonly users: readonly NamedUser[];
  readonly numbers: ReadonlyMap<string, FileIdentity>;
}> {
  const users: NamedUser[] = [];
  const numbers = new Map<string, FileIdentity>();
  for (const file of [...ids].filter(isDevice)) {
    const at = path.join(sys, 'dev/block', numberOf(BigInt(file.slice('device:'.length))));
    for (const part of [at, ...(await partitions(at))]) {
      const number = await text(path.join(part, 'dev'));
      if (number !== '') numbers.set(number, file);
      for (const holder of await entries(path.join(part, 'holders')))
        users.push({ file, by: `the device ${holder}, which is built on it,`, mayWrite: true });
    }
  }
  return { users, numbers };
}

async function partitions(at: string): Promise<string[]> {
  const own = path.basename(await readlink(at).catch(() => at));
  const found: string[] = [];
  for (const name of await entries(at))
    if (name.startsWith(own) && (await text(path.join(at, name, 'partition'))) !== '')
      found.push(path.join(at, name));
  return found;
}

export function numberOf(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return `${major}:${minor & 0xffff_ffffn}`;
}

export function deviceNumber(number: string): bigint {
  const [major = 0n, minor = 0n] = number.split(':').map(BigInt);
  return (
    ((major & ~0xfffn) << 32n) |
    ((major & 0xfffn) << 8n) |
    ((minor & ~0xffn) << 12n) |
    (minor & 0xffn)
  );
}
