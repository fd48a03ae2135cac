import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { hasCode } from '../../errors.ts';
import {
  fileNumber,
  inodeIn,
  isDevice,
  judgeIdentity,
  type FileIdentity,
  type FileUser,
  type FileUsers,
} from '../../migration/image-identity.ts';
import { backingFiles, loops, numberOf, onDevices, swaps, targets } from './kernel-users.ts';
import { mappedFiles } from './mapped-files.ts';
import { mountsSeenBy, mountUsers } from './mounts.ts';
import { identityOf, openFiles, type OpenFile } from './open-files.ts';
import { otherThreads, threadsWithOwnTables } from './thread-tables.ts';
import { pids, startTicksOf } from '../processes/process.ts';
import { readOfProcess } from '../processes/read-of-process.ts';

/**
 * Finds every user of given files on this host: processes (other guests, NBD servers, backups), threads with separate
 * tables of open files, mappings, loop devices, the kernel's iSCSI and NVMe targets, swap, mounts in every namespace
 * and stacked devices. Not visible: clients of the kernel's NFS server, files sent but not received, and files
 * registered only with io_uring.
 */

export interface UsersAsked {
  readonly identities: readonly FileIdentity[];
  readonly except: readonly number[];
  readonly sys?: string;
  readonly proc?: string;
  readonly config?: string;
  readonly backing?: typeof backingFiles;
  readonly ownTables?: typeof threadsWithOwnTables;
}

/**
 * Programs that open images for the guest's own hypervisor: a manager's lock daemon and the reservation helper.
 * `/proc/PID/comm` has 15 characters.
 */
const HELPER = /^(virtlockd|\w+-pr-helper)$/;
/** Managers' daemons, which read images when they scan a pool; one that writes is a user. */
const READER = /^(virtqemud|virtstoraged|libvirtd)$/;

const INIT = 1;

export async function fileUsers(asked: UsersAsked, signal: AbortSignal): Promise<FileUsers> {
  const { identities, sys = '/sys', proc = '/proc', config = '/sys/kernel/config' } = asked;
  // Compares by number, because identities of earlier builds have no birth time, and an open file keeps its number.
  const ids = new Map(identities.map((id) => [fileNumber(id), id]));
  if (ids.size === 0) return { users: [], unseen: [] };
  const byProcess = await processes(ids, asked, signal);
  const built = await onDevices(identities, sys);
  const named = [
    ...(await loops(sys, asked.backing ?? backingFiles, signal)),
    ...(await swaps(proc)),
    ...(await targets(config)),
    ...built.users,
  ];
  signal.throwIfAborted();
  const users: FileUser[] = [];
  const unseen: string[] = [];
  for (const { file, by, mayWrite } of named) {
    const found = file.startsWith('/') ? await identityOf(file) : file;
    const identity = found === undefined ? undefined : askedFor(ids, found);
    if (identity !== undefined) users.push({ identity, by, mayWrite });
    // In another mount namespace it may be one of them. Removed files are not: images have names.
    else if (found === undefined && !file.endsWith(' (deleted)'))
      unseen.push(`${by} (${file.slice(0, 256)})`);
  }
  const fileSystems = identities.filter((id) => !isDevice(id)).map(fileSystemOf);
  const mounts = await mountUsers(
    {
      namespaces: byProcess.namespaces,
      devices: built.numbers,
      fileSystems: new Set(fileSystems),
      proc,
      whichIs: (found) => askedFor(ids, found),
    },
    signal,
  );
  for (const { identity, point, pid, mayWrite } of mounts.users) {
    const of = pid === undefined ? '' : ` in the mounts of ${(await programOf(pid, signal)).by}`;
    users.push({ identity, by: `the mount at ${point.slice(0, 256)}${of}`, mayWrite });
  }
  if (!mounts.isWhole) unseen.push('a mount of a file');
  return {
    users: [...byProcess.users, ...users],
    unseen: [...byProcess.unseen, ...unseen],
  };
}

function fileSystemOf(identity: FileIdentity): string {
  return numberOf(BigInt(identity.split(':')[0] ?? 0));
}

/** The requested identity, if the file has it: a new file may reuse a removed image's number. */
function askedFor(
  ids: ReadonlyMap<string, FileIdentity>,
  found: FileIdentity,
): FileIdentity | undefined {
  const asked = ids.get(fileNumber(found));
  return judgeIdentity(asked, found, true) === 'same' ? asked : undefined;
}

type Own = Pick<OpenFile, 'id' | 'mayWrite'>;

/** Each program once, and one process of each mount namespace. */
async function processes(
  ids: ReadonlyMap<string, FileIdentity>,
  { identities, except, ownTables = threadsWithOwnTables }: UsersAsked,
  signal: AbortSignal,
): Promise<FileUsers & { readonly namespaces: readonly (number | 'self')[] }> {
  const inodes = new Set(identities.flatMap((id) => inodeIn(id) ?? []));
  const withDevices = identities.some(isDevice);
  const others = pids().filter((pid) => pid !== process.pid && !except.includes(pid));
  const open = new Map<number, readonly Own[] | undefined>();
  const threads = new Map<number, readonly number[]>();
  await forEach(others, signal, async (pid) => {
    open.set(pid, await openOf(pid, inodes));
    const tids = open.get(pid) === undefined ? [] : otherThreads(pid);
    if (tids.length > 0) threads.set(pid, tids);
  });
  const apart = await ownTables(threads, signal);
  const users: FileUser[] = [];
  const unseen: string[] = [];
  await forEach(others, signal, async (pid) => {
    const look = {
      apart: (threads.get(pid) ?? []).filter((tid) => apart.has(tid)),
      last: threads.get(pid)?.at(-1),
      inodes,
      withDevices,
    };
    const { files, isWhole } = await heldBy(pid, open.get(pid), look, signal);
    // It may have ended, or be this host's init, which opens no images and is hidden in containers even from root.
    if (!isWhole && pid !== INIT && startTicksOf(pid) !== undefined)
      unseen.push((await programOf(pid, signal)).by);
    const own = files.flatMap(({ id, mayWrite }) => {
      const identity = askedFor(ids, id);
      return identity === undefined ? [] : [{ identity, mayWrite }];
    });
    if (own.length === 0) return;
    const { by, passesOver } = await programOf(pid, signal);
    for (const identity of new Set(own.map((each) => each.identity))) {
      const mayWrite = own.some((each) => each.identity === identity && each.mayWrite);
      const isOver = passesOver === 'always' || (passesOver === 'reading' && !mayWrite);
      if (!isOver) users.push({ identity, by, mayWrite });
    }
  });
  return { users, unseen, namespaces: namespacesOf(others, except) };
}

/** Processes examined concurrently, because most of the time is waiting for the kernel. */
const AT_ONCE = 16;

async function forEach(
  all: readonly number[],
  signal: AbortSignal,
  look: (pid: number) => Promise<void>,
): Promise<void> {
  for (let at = 0; at < all.length; at += AT_ONCE) {
    await Promise.all(all.slice(at, at + AT_ONCE).map(look));
    await nextTurn();
    signal.throwIfAborted();
  }
}

async function openOf(
  pid: number,
  inodes: ReadonlySet<string>,
): Promise<readonly Own[] | undefined> {
  return openFiles({ pid }, inodes).catch((thrown: unknown) => {
    if (hasCode(thrown, 'GODWIT_HOST_LACKS')) return undefined;
    throw thrown;
  });
}

interface Look {
  readonly apart: readonly number[];
  /** The last thread: if the first has ended, only others show the process's memory. */
  readonly last: number | undefined;
  readonly inodes: ReadonlySet<string>;
  readonly withDevices: boolean;
}

/** Open and mapped files of a process. `isWhole`: everything was visible. */
async function heldBy(
  pid: number,
  open: readonly Own[] | undefined,
  { apart, last, inodes, withDevices }: Look,
  signal: AbortSignal,
): Promise<{ readonly files: readonly Own[]; readonly isWhole: boolean }> {
  if (open === undefined) return { files: [], isWhole: false };
  const files = [...open];
  let isWhole = true;
  for (const tid of apart) {
    const own = await openOf(tid, inodes);
    files.push(...(own ?? []));
    isWhole &&= own !== undefined;
  }
  const mapped = await mappedFiles(last ?? pid, inodes, withDevices, signal);
  return { files: [...files, ...mapped.files], isWhole: isWhole && mapped.isWhole };
}

/** Mounts that only an excepted process sees belong to its own access to images. */
function namespacesOf(others: readonly number[], except: readonly number[]): (number | 'self')[] {
  const own = mountsSeenBy('self');
  const known = new Set([own, ...except.map(mountsSeenBy)]);
  const found: (number | 'self')[] = ['self'];
  for (const pid of others) {
    const seen = mountsSeenBy(pid);
    if (seen === undefined || known.has(seen)) continue;
    known.add(seen);
    found.push(pid);
  }
  return found;
}

/** Name of a process's program, or of its guest if the command line has it. */
async function programOf(
  pid: number,
  signal: AbortSignal,
): Promise<{ readonly by: string; readonly passesOver: 'always' | 'reading' | 'never' }> {
  const [line, comm] = await Promise.all([
    readOfProcess(pid, 'cmdline', signal).then((read) => read ?? ''),
    readFile(`/proc/${pid}/comm`, 'latin1').catch(() => ''),
  ]);
  const words = line.slice(0, 65_536).split('\0');
  const own = path.dirname(process.argv[1] ?? '/');
  const isGodwit = words[1] !== undefined && own !== '/' && path.dirname(words[1]) === own;
  const guest = /^(?:guest=)?([^,]+)/.exec(words[words.indexOf('-name') + 1] ?? '')?.[1];
  const program = path.basename(words[0] ?? '') || comm.trim();
  const what = words.includes('-name') && guest !== undefined ? `${guest}: ${program}` : program;
  // A process controls its command line.
  const shown = what.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 128);
  const by = `process ${pid} (${shown})`;
  if (HELPER.test(comm.trim())) return { by, passesOver: 'always' };
  // Another migration only reads it briefly to compare content.
  return { by, passesOver: isGodwit || READER.test(comm.trim()) ? 'reading' : 'never' };
}
