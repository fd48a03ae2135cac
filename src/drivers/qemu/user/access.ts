import { chmod, chown, lchown, lstat, open, readFile, rm, stat } from 'node:fs/promises';
import { constants } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../../errors.ts';
import { inRealDirectory } from '../../../system/files/real-directory.ts';
import { renameSynced } from '../../../system/files/whole-file.ts';

/**
 * Files that a guest's QEMU may open because its own group may, for as long as it runs. Their owner stays who it was: on
 * shared storage the QEMU at the source goes on.
 */

/** Owned by the agent, in the guest's directory, where QEMU can neither change nor replace it. */
const GIVEN_FILE = 'given.json';
const MAX_GIVEN = 1024;
/** An image that somebody swaps for a link, a pipe or a device with a side effect is not followed and not waited for. */
const OPEN = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const given = z.array(
  z.object({
    file: z.string().max(4096),
    writable: z.boolean(),
    /** As they were before. */
    gid: z.number(),
    mode: z.number(),
  }),
);
type AccessGrant = z.infer<typeof given>[number];

export interface FileAccess {
  readonly file: string;
  readonly writable: boolean;
}

/** Lets group `id` into the files. What they were is written down first, in `guestDir`. GODWIT_HOST_LACKS names one that cannot be. */
export async function giveFiles(
  guestDir: string,
  files: readonly FileAccess[],
  id: number,
): Promise<void> {
  const before = await readGiven(guestDir);
  for (const { file, writable } of files) {
    await withFile(file, async (handle) => {
      const { uid, gid, mode } = await handle.stat();
      if (gid === id && allows(mode >> 3, writable)) return;
      if (allows(mode, writable)) return;
      if (!before.some((each) => each.file === file)) {
        before.push({ file, writable, gid, mode: mode & 0o7777 });
        await writeGiven(guestDir, before.slice(-MAX_GIVEN));
      }
      // The group first: nobody else's gains by the new mode.
      await handle.chown(uid, id);
      await handle.chmod((mode & 0o7777) | (writable ? 0o060 : 0o040));
    }).catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      const hint = `Let this host's agent change the group of ${file}, or let everybody open it; or set drivers.qemu.user to "agent".`;
      const what = `permission for the guest’s QEMU to open ${file} (${why})`;
      throw godwitError('GODWIT_HOST_LACKS', { what }, { hint, cause });
    });
  }
}

/** The same files once more, for a QEMU that is started anew: another host may have let its own into them since. */
export async function giveAgain(guestDir: string, id: number): Promise<void> {
  await giveFiles(guestDir, await readGiven(guestDir), id);
}

/**
 * The guest runs here for good: a group that one of Godwit’s QEMUs had at its source, by `isGuest`, is nobody’s any more,
 * and may be another guest’s next. The files go back to this process’s group then, which gains nothing by it. `files`: these
 * alone.
 */
export async function forgetSource(
  guestDir: string,
  isGuest: (gid: number) => boolean,
  files?: readonly string[],
): Promise<void> {
  const list = await readGiven(guestDir);
  const isNobodys = ({ file, gid }: AccessGrant) => isGuest(gid) && (files?.includes(file) ?? true);
  if (!list.some(isNobodys)) return;
  const own = process.getegid?.() ?? 0;
  const settled = list.map((each) =>
    isNobodys(each) ? { ...each, gid: own, mode: each.mode & ~0o070 } : each,
  );
  await writeGiven(guestDir, settled);
}

/** Those that its QEMU may open because its own group may. */
export async function givenFiles(guestDir: string): Promise<string[]> {
  return (await readGiven(guestDir)).map(({ file }) => file);
}

/**
 * Puts group and mode back as they were, but for a file that somebody else has been let into since. Never rejects. `files`: these
 * alone.
 */
export async function returnFiles(guestDir: string, files?: readonly string[]): Promise<void> {
  const all = await readGiven(guestDir);
  const list = all.filter(({ file }) => files?.includes(file) ?? true);
  if (list.length === 0) return;
  const { gid: id } = await stat(guestDir);
  for (const { file, gid, mode } of list) {
    await withFile(file, async (handle) => {
      const now = await handle.stat();
      if (now.gid !== id) return;
      await handle.chmod(mode & 0o7777);
      await handle.chown(now.uid, gid);
      // A change of owner takes these away.
      if ((mode & 0o6000) !== 0) await handle.chmod(mode & 0o7777);
    }).catch(() => undefined);
  }
  const kept = all.filter((each) => !list.includes(each));
  if (kept.length > 0) await writeGiven(guestDir, kept).catch(() => undefined);
  else await rm(path.join(guestDir, GIVEN_FILE), { force: true });
}

/** A directory above `file` that keeps others than its owner out; undefined where there is none. */
export async function closedAbove(file: string): Promise<string | undefined> {
  const parts = path.dirname(path.resolve(file)).split('/');
  for (let length = 1; length <= parts.length; length += 1) {
    const directory = parts.slice(0, length).join('/') || '/';
    const { mode } = await stat(directory);
    if ((mode & 0o001) === 0) return directory;
  }
  return undefined;
}

/** Lets others through `levels` directories from this one up, which are Godwit's own; what lies in them stays closed. */
export async function openAbove(directory: string, levels: number): Promise<void> {
  let at = path.resolve(directory);
  for (let left = levels; left > 0; left -= 1) {
    const { mode, uid } = await stat(at);
    if ((mode & 0o001) === 0 && uid === process.getuid?.())
      await chmod(at, (mode & 0o7777) | 0o011);
    at = path.dirname(at);
  }
}

/** Whether everybody may open it. */
export async function isOpenToAll(file: string): Promise<boolean> {
  const { mode } = await stat(file);
  return allows(mode, false) && (await closedAbove(file)) === undefined;
}

function allows(mode: number, writable: boolean): boolean {
  const needed = writable ? 0o6 : 0o4;
  return (mode & needed) === needed;
}

type PermissionHandle = Pick<Awaited<ReturnType<typeof open>>, 'chmod' | 'chown' | 'stat'>;

/** A character device among the kernel's own files, where nobody but root makes names: it is not opened, as some take that for use. */
async function isDevice(file: string): Promise<boolean> {
  if (!file.startsWith('/dev/')) return false;
  return (await lstat(file).catch(() => undefined))?.isCharacterDevice() === true;
}

async function withFile(
  file: string,
  work: (handle: PermissionHandle) => Promise<void>,
): Promise<void> {
  if (await isDevice(file)) {
    await work({
      stat: () => lstat(file),
      chown: (uid, gid) => lchown(file, uid, gid),
      chmod: (mode) => chmod(file, mode),
    } as PermissionHandle);
    return;
  }
  const handle = await inRealDirectory(file, (at) => open(at, OPEN));
  try {
    const info = await handle.stat();
    if (!info.isFile() && !info.isBlockDevice()) throw new Error('it is neither a file nor a disk');
    await work(handle);
  } finally {
    await handle.close();
  }
}

/** QEMU may make files in that directory: what it wrote itself, or linked there from elsewhere, is not believed. */
async function readGiven(guestDir: string): Promise<AccessGrant[]> {
  try {
    const handle = await open(path.join(guestDir, GIVEN_FILE), OPEN);
    try {
      const info = await handle.stat();
      const isOurs = info.isFile() && info.nlink === 1 && info.uid === process.geteuid?.();
      if (!isOurs) return [];
      return given.parse(JSON.parse(await handle.readFile('utf8')));
    } finally {
      await handle.close();
    }
  } catch {
    return [];
  }
}

async function writeGiven(guestDir: string, list: readonly AccessGrant[]): Promise<void> {
  const file = path.join(guestDir, GIVEN_FILE);
  await writeNew(`${file}.new`, JSON.stringify(list));
  renameSynced(`${file}.new`, file);
}

/** Writes a file where QEMU may have left a link of that name, which is not followed. */
export async function writeNew(file: string, text: string): Promise<void> {
  await rm(file, { force: true });
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** `stateDir/migrations/ID`, where the sockets of movers are: so many directories lead there that are Godwit's own. */
const LEVELS_ABOVE_SOCKET = 3;

/** Lets a user connect to a socket of ours. */
export async function giveSocket(socket: string, { uid, gid }: { uid: number; gid: number }) {
  await chown(socket, uid, gid);
  await openAbove(path.dirname(socket), LEVELS_ABOVE_SOCKET);
}

/** The user and group of a process; undefined where they are this one's, or it has ended. */
export async function otherUserOf(pid: number): Promise<{ uid: number; gid: number } | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const idOf = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+\\d+\\s+(\\d+)`, 'm').exec(status)?.[1]);
  const [uid, gid] = [idOf('Uid'), idOf('Gid')];
  if (!Number.isSafeInteger(uid) || !Number.isSafeInteger(gid)) return undefined;
  return uid === process.geteuid?.() ? undefined : { uid, gid };
}
