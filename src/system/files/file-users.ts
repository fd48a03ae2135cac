import { readFile, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { hasCode } from '../../errors.ts';
import {
  fileNumber,
  isDevice,
  judgeIdentity,
  type FileIdentity,
  type FileUser,
  type FileUsers,
} from '../../migration/image-identity.ts';
import { identityOf, openFiles } from './open-files.ts';
import { pids, startTicksOf } from '../processes/process.ts';

/**
 * Everything of this host that has one of some files open: processes (other guests, NBD servers, backups), loop devices,
 * exports of the kernel's own iSCSI and NVMe targets, swap, mounts and devices built on a device. A program that has only
 * mapped a file, and clients of the kernel's NFS server, do not show.
 */

export interface UsersAsked {
  readonly identities: readonly FileIdentity[];
  /** Processes that may have them open. */
  readonly except: readonly number[];
  /** Where the kernel reports devices and processes. */
  readonly sys?: string;
  readonly proc?: string;
  /** Where the targets of the kernel are configured. */
  readonly config?: string;
}

/**
 * Programs that open images on behalf of the guest's own hypervisor: a manager's lock daemon and the helper for reservations.
 * `/proc/PID/comm` has 15 characters.
 */
const HELPER = /^(virtlockd|\w+-pr-helper)$/;
/** A manager's daemons, which read images when they look into a pool; one that writes uses the image. */
const READER = /^(virtqemud|virtstoraged|libvirtd)$/;

const INIT = 1;

/** Entries of one directory of the kernel that are looked at. */
const MAX_ENTRIES = 4096;

export async function fileUsers(asked: UsersAsked, signal: AbortSignal): Promise<FileUsers> {
  const { identities, except, sys = '/sys', proc = '/proc', config = '/sys/kernel/config' } = asked;
  // By number: an identity of an earlier build has no birth time, and a file that is open keeps its number.
  const ids = new Map(identities.map((id) => [fileNumber(id), id]));
  if (ids.size === 0) return { users: [], unseen: [] };
  const inodes = new Set(
    identities.filter((id) => !isDevice(id)).map((id) => id.split(':')[1] ?? ''),
  );
  const byProcess = await processes(ids, inodes, except, signal);
  const named = [
    ...(await loops(sys)),
    ...(await swaps(proc)),
    ...(await targets(config)),
    ...(await onDevices(new Set(identities), { sys, proc })),
  ];
  signal.throwIfAborted();
  const users: FileUser[] = [];
  const unseen: string[] = [];
  for (const { file, by, mayWrite } of named) {
    const found = isDevice(file) ? file : await identityOf(file);
    const identity = found === undefined ? undefined : askedFor(ids, found);
    if (identity !== undefined) users.push({ identity, by, mayWrite });
    // In another mount namespace, so it may be one of them. A removed file is none: images have names.
    else if (found === undefined && !file.endsWith(' (deleted)'))
      unseen.push(`${by} (${file.slice(0, 256)})`);
  }
  return {
    users: [...byProcess.users, ...users],
    unseen: [...byProcess.unseen, ...unseen],
  };
}

/** The identity that was asked for, if this file is the one: another file may have the number of a removed image. */
function askedFor(
  ids: ReadonlyMap<string, FileIdentity>,
  found: FileIdentity,
): FileIdentity | undefined {
  const asked = ids.get(fileNumber(found));
  return judgeIdentity(asked, found, true) === 'same' ? asked : undefined;
}

/** Each program once. */
async function processes(
  ids: ReadonlyMap<string, FileIdentity>,
  inodes: ReadonlySet<string>,
  except: readonly number[],
  signal: AbortSignal,
): Promise<FileUsers> {
  const users: FileUser[] = [];
  const unseen: string[] = [];
  for (const pid of pids()) {
    if (pid === process.pid || except.includes(pid)) continue;
    await nextTurn();
    signal.throwIfAborted();
    const open = await openFiles({ pid }, inodes).catch((thrown: unknown) => {
      if (hasCode(thrown, 'GODWIT_HOST_LACKS')) return undefined;
      throw thrown;
    });
    if (open === undefined) {
      // It has ended, or it is the init of this host, which opens no images and which a container hides even from root.
      if (pid === INIT || startTicksOf(pid) === undefined) continue;
      unseen.push((await programOf(pid)).by);
      continue;
    }
    const own = open.flatMap(({ id, mayWrite }) => {
      const identity = askedFor(ids, id);
      return identity === undefined ? [] : [{ identity, mayWrite }];
    });
    if (own.length === 0) continue;
    const { by, passesOver } = await programOf(pid);
    for (const identity of new Set(own.map((each) => each.identity))) {
      const mayWrite = own.some((each) => each.identity === identity && each.mayWrite);
      const isOver = passesOver === 'always' || (passesOver === 'reading' && !mayWrite);
      if (!isOver) users.push({ identity, by, mayWrite });
    }
  }
  return { users, unseen };
}

/** What runs as a process; a guest's own name if its command line has one. */
async function programOf(
  pid: number,
): Promise<{ readonly by: string; readonly passesOver: 'always' | 'reading' | 'never' }> {
  const [line, comm] = await Promise.all([
    readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => ''),
    readFile(`/proc/${pid}/comm`, 'latin1').catch(() => ''),
  ]);
  const words = line.slice(0, 65_536).split('\0');
  const own = path.dirname(process.argv[1] ?? '/');
  const isGodwit = words[1] !== undefined && own !== '/' && path.dirname(words[1]) === own;
  const guest = /^(?:guest=)?([^,]+)/.exec(words[words.indexOf('-name') + 1] ?? '')?.[1];
  const program = path.basename(words[0] ?? '') || comm.trim();
  const what = words.includes('-name') && guest !== undefined ? `${guest}: ${program}` : program;
  // A process chooses its own words.
  const shown = what.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 128);
  const by = `process ${pid} (${shown})`;
  if (HELPER.test(comm.trim())) return { by, passesOver: 'always' };
  // Another migration that compares files by their content reads this one for a moment.
  return { by, passesOver: isGodwit || READER.test(comm.trim()) ? 'reading' : 'never' };
}

interface NamedUser {
  /** A path, or the identity of a device. */
  readonly file: string;
  readonly by: string;
  readonly mayWrite: boolean;
}

async function entries(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(() => [])).slice(0, MAX_ENTRIES);
}

const text = (file: string): Promise<string> =>
  readFile(file, 'utf8').then(
    (read) => read.trim(),
    () => '',
  );

async function loops(sys: string): Promise<NamedUser[]> {
  const names = (await entries(path.join(sys, 'block'))).filter((name) => name.startsWith('loop'));
  const found: NamedUser[] = [];
  for (const name of names) {
    const file = await text(path.join(sys, 'block', name, 'loop/backing_file'));
    const mayWrite = (await text(path.join(sys, 'block', name, 'ro'))) !== '1';
    if (file !== '') found.push({ file, by: `the loop device /dev/${name}`, mayWrite });
  }
  return found;
}

/** `/proc/swaps` escapes blanks as the kernel does everywhere. */
async function swaps(proc: string): Promise<NamedUser[]> {
  const [, ...lines] = (await text(path.join(proc, 'swaps'))).split('\n');
  return lines.flatMap((line) => {
    const file = unescaped(/^\S+/.exec(line)?.[0] ?? '');
    return file === '' ? [] : [{ file, by: 'this host’s swap', mayWrite: true }];
  });
}

function unescaped(word: string): string {
  return word.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** What LIO (iSCSI, vhost-scsi) and the NVMe target export. */
async function targets(config: string): Promise<NamedUser[]> {
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

/** Mounts of a device and of its partitions, and devices that are built on them. */
async function onDevices(
  ids: ReadonlySet<FileIdentity>,
  { sys, proc }: { readonly sys: string; readonly proc: string },
): Promise<NamedUser[]> {
  const devices = [...ids].filter(isDevice);
  if (devices.length === 0) return [];
  const mounts = (await text(path.join(proc, 'self/mountinfo'))).split('\n');
  const found: NamedUser[] = [];
  for (const file of devices) {
    const at = path.join(sys, 'dev/block', numberOf(BigInt(file.slice('device:'.length))));
    for (const part of [at, ...(await partitions(at))]) {
      const number = await text(path.join(part, 'dev'));
      for (const line of number === '' ? [] : mounts) {
        const [, , device, , point] = line.split(' ');
        if (device !== number) continue;
        found.push({ file, by: `the mount at ${unescaped(point ?? '')}`, mayWrite: true });
      }
      for (const holder of await entries(path.join(part, 'holders')))
        found.push({ file, by: `the device ${holder}, which is built on it,`, mayWrite: true });
    }
  }
  return found;
}

async function partitions(at: string): Promise<string[]> {
  const own = path.basename(await readlink(at).catch(() => at));
  const found: string[] = [];
  for (const name of await entries(at))
    if (name.startsWith(own) && (await text(path.join(at, name, 'partition'))) !== '')
      found.push(path.join(at, name));
  return found;
}

/** As the kernel numbers a device (`man makedev`). */
function numberOf(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return `${major}:${minor & 0xffff_ffffn}`;
}
