import { chmod, chown, lchown, lstat, open, readFile, rm, stat } from 'node:fs/promises';
import { constants } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../../errors.ts';
import { inRealDirectory } from '../../../system/files/real-directory.ts';
import { renameSynced } from '../../../system/files/whole-file.ts';

/**
 * Grants a guest's QEMU access to files through its group while it runs. The owner stays, because on shared
 * storage the source's QEMU continues to use them.
 */

/** The agent owns this file in the guest's directory, so QEMU can neither change nor replace it. */
const GIVEN_FILE = 'given.json';
const MAX_GIVEN = 1024;
/** An image replaced by a link, a pipe or a device with side effects is not followed or waited for. */
const OPEN = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const given = z.array(
  z.object({
    file: z.string().max(4096),
    writable: z.boolean(),
    gid: z.number(),
    mode: z.number(),
  }),
);
type AccessGrant = z.infer<typeof given>[number];

export interface FileAccess {
  readonly file: string;
  readonly writable: boolean;
}

/**
 * Gives group `id` access to the files, after recording their original state in `guestDir`. Throws
 * GODWIT_HOST_LACKS with the file that cannot be changed.
 */
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
      // The group changes first, so that the new mode benefits no other group.
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

/** Repeats the grants for a restarted QEMU: another host may have changed them since. */
export async function giveAgain(guestDir: string, id: number): Promise<void> {
  await giveFiles(guestDir, await readGiven(guestDir), id);
}

/**
 * The guest stays here for good. A group of its source's QEMU (`isGuest`) belongs to no guest now and may be
 * reused, so the recorded group becomes this process's group, which gains nothing by it. `files`: only these.
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

export async function givenFiles(guestDir: string): Promise<string[]> {
  return (await readGiven(guestDir)).map(({ file }) => file);
}

/**
 * Restores group and mode, except of a file that was granted to another group since. Never rejects. `files`:
 * only these.
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
      // A change of owner clears these bits.
      if ((mode & 0o6000) !== 0) await handle.chmod(mode & 0o7777);
    }).catch(() => undefined);
  }
  const kept = all.filter((each) => !list.includes(each));
  if (kept.length > 0) await writeGiven(guestDir, kept).catch(() => undefined);
  else await rm(path.join(guestDir, GIVEN_FILE), { force: true });
}

/** Directory above `file` that only its owner may enter; undefined if there is none. */
export async function closedAbove(file: string): Promise<string | undefined> {
  const parts = path.dirname(path.resolve(file)).split('/');
  for (let length = 1; length <= parts.length; length += 1) {
    const directory = parts.slice(0, length).join('/') || '/';
    const { mode } = await stat(directory);
    if ((mode & 0o001) === 0) return directory;
  }
  return undefined;
}

/** Lets others traverse `levels` directories upwards, all of them Godwit's; their contents stay closed. */
export async function openAbove(directory: string, levels: number): Promise<void> {
  let at = path.resolve(directory);
  for (let left = levels; left > 0; left -= 1) {
    const { mode, uid } = await stat(at);
    if ((mode & 0o001) === 0 && uid === process.getuid?.())
      await chmod(at, (mode & 0o7777) | 0o011);
    at = path.dirname(at);
  }
}

export async function isOpenToAll(file: string): Promise<boolean> {
  const { mode } = await stat(file);
  return allows(mode, false) && (await closedAbove(file)) === undefined;
}

function allows(mode: number, writable: boolean): boolean {
  const needed = writable ? 0o6 : 0o4;
  return (mode & needed) === needed;
}

type PermissionHandle = Pick<Awaited<ReturnType<typeof open>>, 'chmod' | 'chown' | 'stat'>;

/**
 * Character device below /dev, where only root creates names. It is not opened, because some devices treat that
 * as use.
 */
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

/** QEMU may create files in that directory; a file that QEMU owns or linked there is not trusted. */
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

/** Writes a file without following a link that QEMU may have left under that name. */
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

/** Number of Godwit's directories in `stateDir/migrations/ID`, which contains the movers' sockets. */
const LEVELS_ABOVE_SOCKET = 3;

export async function giveSocket(socket: string, { uid, gid }: { uid: number; gid: number }) {
  await chown(socket, uid, gid);
  await openAbove(path.dirname(socket), LEVELS_ABOVE_SOCKET);
}

export async function otherUserOf(pid: number): Promise<{ uid: number; gid: number } | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const idOf = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+\\d+\\s+(\\d+)`, 'm').exec(status)?.[1]);
  const [uid, gid] = [idOf('Uid'), idOf('Gid')];
  if (!Number.isSafeInteger(uid) || !Number.isSafeInteger(gid)) return undefined;
  return uid === process.geteuid?.() ? undefined : { uid, gid };
}
