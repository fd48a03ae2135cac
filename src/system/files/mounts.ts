import { readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { FileIdentity } from '../../migration/image-identity.ts';
import { identityOf } from './open-files.ts';

/** Mounted devices and bind-mounted files (`mount --bind`), in every mount namespace of this host. */

/** Identifies a process's view of mounts. Undefined if it has ended, or without permission. */
export function mountsSeenBy(pid: number | 'self'): string | undefined {
  try {
    // A process with a changed root sees only mounts below it.
    return `${readlinkSync(`/proc/${pid}/ns/mnt`)} ${readlinkSync(`/proc/${pid}/root`)}`;
  } catch {
    return undefined;
  }
}

interface Mount {
  readonly number: string;
  /** The mounted directory or file within its file system. */
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly source: string;
}

export interface MountUser {
  readonly identity: FileIdentity;
  readonly point: string;
  /** A process that sees the mount; undefined: this one. */
  readonly pid: number | undefined;
  readonly mayWrite: boolean;
}

interface MountQuery {
  readonly namespaces: readonly (number | 'self')[];
  /** Devices by the mount numbers of themselves and their partitions. */
  readonly devices: ReadonlyMap<string, FileIdentity>;
  /** Mount numbers of the files' file systems. */
  readonly fileSystems: ReadonlySet<string>;
  readonly proc: string;
  readonly whichIs: (found: FileIdentity) => FileIdentity | undefined;
}

/** File systems whose files have other device numbers than their mounts. */
const NUMBERED_APART = /^(btrfs|bcachefs|overlay|zfs)$/;

/** Bind-mounted files that are examined. */
const MAX_MOUNTED_FILES = 16_384;

/** Each mount point once. `isWhole`: everything was visible. */
export async function mountUsers(
  { namespaces, devices, fileSystems, proc, whichIs }: MountQuery,
  signal: AbortSignal,
): Promise<{ readonly users: readonly MountUser[]; readonly isWhole: boolean }> {
  const users = new Map<string, MountUser>();
  const looked = new Set<string>();
  for (const each of namespaces) {
    const pid = each === 'self' ? undefined : each;
    const at = path.join(proc, String(each));
    signal.throwIfAborted();
    for (const mount of mountsIn(await readFile(`${at}/mountinfo`, 'latin1').catch(() => ''))) {
      const device = await deviceOf(mount, devices);
      const { number, root, point, type } = mount;
      if (device !== undefined) add(users, { identity: device, point, pid, mayWrite: true });
      const isPart = root !== '/' && (fileSystems.has(number) || NUMBERED_APART.test(type));
      const key = `${number} ${root} ${point}`;
      if (!isPart || looked.has(key)) continue;
      if (looked.size === MAX_MOUNTED_FILES) return { users: [...users.values()], isWhole: false };
      looked.add(key);
      const found = await identityOf(`${at}/root${point}`);
      const identity = found === undefined ? undefined : whichIs(found);
      // Another name of the file: its users are found separately.
      if (identity !== undefined) add(users, { identity, point, pid, mayWrite: false });
    }
  }
  return { users: [...users.values()], isWhole: true };
}

function add(users: Map<string, MountUser>, user: MountUser): void {
  const key = `${user.identity} ${user.point}`;
  if (!users.has(key)) users.set(key, user);
}

/** The mounted device; some file systems have a separate number and name the device. */
async function deviceOf(
  { number, source }: Mount,
  devices: MountQuery['devices'],
): Promise<FileIdentity | undefined> {
  const own = devices.get(number);
  if (own !== undefined || devices.size === 0) return own;
  if (!number.startsWith('0:') || !source.startsWith('/dev/')) return undefined;
  const named = await identityOf(source);
  return [...devices.values()].find((device) => device === named);
}

function* mountsIn(mountinfo: string): Generator<Mount> {
  for (const line of mountinfo.split('\n')) {
    const [, , number = '', root = '', point = '', ...more] = line.split(' ');
    const [type = '', source = ''] = more.slice(more.indexOf('-') + 1);
    if (number === '') continue;
    yield { number, root, point: unescaped(point), type, source: unescaped(source) };
  }
}

/** The kernel escapes blanks, line ends and backslashes as octal numbers. */
export function unescaped(word: string): string {
  return Buffer.from(
    word.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    ),
    'latin1',
  ).toString();
}
