import { lstatSync, type BigIntStats } from 'node:fs';
import { lstat, mkdir, open, readdir, readFile, rename, rm, rmdir, statfs } from 'node:fs/promises';
import path from 'node:path';
import { godwitError } from '../../../errors.ts';
import { absent, ignoring } from '../../../system/ignoring.ts';
import { inRealDirectory } from '../../../system/files/real-directory.ts';
import { removeTree } from '../../../system/files/remove-tree.ts';
import { formatBytes } from '../../../protocol/quantity.ts';
import type { HostContext } from '../host/host-context.ts';
import { mountsBelow } from './mounts.ts';
import type { ContainerRecord, MadeVolume, Records } from '../link/records.ts';
import { archiveMs, unpack } from './trees.ts';
import { overlaps, placeFor, type Volume } from './volume-names.ts';

/**
 * Volumes of a container at its destination. Each is recorded before its creation, and after it with inode
 * number and creation time, because file systems reuse inode numbers. Only exactly these volumes are removed
 * later. All parent directories belong to root, so no other user can replace one.
 */

/**
 * Places of the volumes that are not shared, without an inode until their creation; undefined without a volume
 * directory.
 */
export function placesOf(
  volumes: readonly Volume[],
  volumeDirs: readonly string[],
  shared: ReadonlyMap<number, string> = new Map(),
): MadeVolume[] | undefined {
  const places = [...volumes.entries()].flatMap(([index, each]): MadeVolume[] => {
    const place = placeFor(each, volumeDirs);
    if (shared.has(index) || place === undefined) return [];
    return [{ index, path: place.file, kind: each.kind, bytes: each.bytes }];
  });
  return places.length + shared.size === volumes.length ? places : undefined;
}

/** Checks that no other user can replace it, and finds the nearest existing parent. */
export async function whyNotAbove(
  file: string,
): Promise<{ readonly above: string; readonly why?: string }> {
  let above = '/';
  for (const part of path.dirname(file).split('/').slice(1)) {
    const next = path.join(above, part);
    const found = await lstat(next).catch(absent);
    if (found === undefined) break;
    if (!found.isDirectory()) return { above, why: `${next} is no directory` };
    const isKept = (found.mode & 0o022) === 0 || (found.mode & 0o1000) !== 0;
    if (![0, process.geteuid?.()].includes(found.uid) || !isKept)
      return { above, why: `${next} is another user’s, or others may write in it` };
    above = next;
  }
  return { above };
}

/** Reason why it cannot be created there with `neededBytes` in total; undefined if it can. */
export async function whyNotThere(
  { path: file }: MadeVolume,
  neededBytes: number,
): Promise<string | undefined> {
  const { above, why } = await whyNotAbove(file);
  if (why !== undefined) return why;
  const there = await lstat(file).catch(absent);
  if (there !== undefined) return `${file} is there already`;
  return whyNoRoom(above, neededBytes);
}

export async function whyNoRoom(
  directory: string,
  bytes: number,
  keptBytes = 0,
): Promise<string | undefined> {
  const found = await statfs(directory).catch(absent);
  if (found === undefined) return whyNoRoom(path.dirname(directory), bytes, keptBytes);
  const { bavail, bsize } = found;
  const freeBytes = bavail * bsize + keptBytes;
  const [needed, free] = [bytes, freeBytes].map(formatBytes);
  return freeBytes < bytes ? `it needs ${needed}, and ${directory} has ${free}` : undefined;
}

/** Creates each as empty. An existing path is left alone and its volume is no longer recorded. */
export async function makeVolumes(records: Records, guest: string): Promise<void> {
  const made = records.readSync(guest)?.made;
  const volumes = made?.volumes ?? [];
  if (made === undefined || volumes.length === 0) return;
  const directories = await missingAbove(volumes);
  await records.change(guest, { made: { ...made, directories } });
  for (const each of directories) {
    await inRealDirectory(each, (at) => mkdir(at, { mode: 0o711 })).catch(ignoring('EEXIST'));
  }
  const done: MadeVolume[] = [];
  for (const [index, each] of volumes.entries()) {
    const keep = (rest: readonly MadeVolume[]) =>
      records.change(guest, { made: { ...made, directories, volumes: [...done, ...rest] } });
    const why = (await whyNotThere(each, 0)) ?? (await otherUser(records, guest, each.path));
    if (why !== undefined) {
      await keep([]);
      throw new Error(why);
    }
    try {
      done.push({ ...each, ...(await make(each)) });
    } catch (error) {
      await keep([]);
      throw error;
    }
    await keep(volumes.slice(index + 1));
  }
}

/** Guest whose volume would contain it: removal or writes would affect both. */
export async function otherUser(
  records: Records,
  guest: string,
  file: string,
): Promise<string | undefined> {
  for (const other of await records.names()) {
    if (other === guest) continue;
    const record = records.readSync(other);
    const { volumes = [], shared = [] } = record?.made ?? {};
    const theirs = [...volumes, ...shared, ...(record?.volumes ?? [])];
    const found = theirs.find((each) => overlaps(each.path, file));
    if (found !== undefined) return `${file} would lie in ${found.path}, a volume of ${other}`;
  }
  return undefined;
}

async function missingAbove(volumes: readonly MadeVolume[]): Promise<string[]> {
  const found = new Set<string>();
  for (const { path: file } of volumes) {
    const missing: string[] = [];
    for (let at = path.dirname(file); at !== '/'; at = path.dirname(at)) {
      if ((await lstat(at).catch(absent)) !== undefined) break;
      missing.unshift(at);
    }
    for (const each of missing) found.add(each);
  }
  return [...found];
}

function make({ path: file, kind }: MadeVolume): Promise<Identity> {
  return inRealDirectory(file, async (at) => {
    if (kind === 'directory') await mkdir(at, { mode: 0o700 });
    else await (await open(at, 'wx', 0o600)).close();
    return identityOf(await lstat(at, { bigint: true }));
  });
}

type Identity = Pick<MadeVolume, 'ino' | 'bornNs'>;

function identityOf({ ino, birthtimeNs }: BigIntStats): Identity {
  const isKnown = birthtimeNs > 0n && tellsBirth();
  return { ino: String(ino), ...(isKnown ? { bornNs: String(birthtimeNs) } : {}) };
}

/** Without a reported creation time, the change time is used; /proc has no creation time. */
function tellsBirth(): boolean {
  return lstatSync('/proc', { bigint: true }).birthtimeNs === 0n;
}

function isIt({ ino, bornNs }: Identity, found: BigIntStats): boolean {
  const now = identityOf(found);
  const isBornThen = bornNs === undefined || now.bornNs === undefined || bornNs === now.bornNs;
  return ino === now.ino && isBornThen;
}

export async function checkOurs(volume: MadeVolume): Promise<void> {
  const { path: file } = volume;
  const found = await inRealDirectory(file, (at) => lstat(at, { bigint: true }));
  if (!isIt(volume, found)) throw new Error(`${file} is not what was made for it`);
}

export async function fillVolume(
  runc: HostContext['runc'],
  volume: MadeVolume,
  archive: string,
  signal: AbortSignal,
): Promise<void> {
  const { path: file, kind, bytes } = volume;
  await checkOurs(volume);
  if ((await lstat(archive).catch(absent)) === undefined)
    throw new Error(`the source sent nothing for ${file}`);
  if (kind === 'directory') await unpack(runc, archive, { into: file, bytes }, signal);
  else await fillFile(runc, archive, file, bytes, signal);
  await rm(archive, { force: true });
  await checkOurs(volume);
}

/** Unpacks in a private directory: an archive may contain more than one file. */
async function fillFile(
  runc: HostContext['runc'],
  archive: string,
  file: string,
  bytes: number,
  signal: AbortSignal,
): Promise<void> {
  const into = archive.slice(0, -'.tar'.length);
  await mkdir(into, { mode: 0o700 });
  await unpack(runc, archive, { into, bytes }, signal);
  const [name = '', more] = await readdir(into);
  const from = path.join(into, name);
  if (more !== undefined || !(await lstat(from)).isFile())
    throw new Error(`what came for ${file} is no plain file`);
  const argv = ['cp', '--preserve=all', '-T', '--', from, file];
  await runc.run(argv, { deadlineMs: archiveMs(bytes), signal, whole: true });
}

/** Can be repeated. Rejects without deleting from a volume if something is mounted in it. */
export async function removeVolumes(
  { mountsOf }: Pick<HostContext, 'mountsOf'>,
  {
    volumes = [],
    directories = [],
  }: {
    readonly volumes?: readonly MadeVolume[] | undefined;
    readonly directories?: readonly string[] | undefined;
  },
): Promise<void> {
  if (volumes.length + directories.length === 0) return;
  const table = await readFile(`/proc/${mountsOf ?? 'self'}/mountinfo`, 'utf8');
  for (const each of volumes) {
    const [mounted] = mountsBelow(table, each.path);
    if (mounted !== undefined) throw stillMounted(mounted);
    await remove(each);
  }
  for (const directory of directories.toReversed()) {
    await inRealDirectory(directory, (at) => rmdir(at)).catch(
      ignoring('ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR'),
    );
  }
}

async function remove(volume: MadeVolume): Promise<void> {
  const { path: file, kind, ino } = volume;
  const found = await inRealDirectory(file, (at) => lstat(at, { bigint: true })).catch(absent);
  if (found === undefined) return;
  if (ino === undefined) {
    // An empty volume of an unknown creator can be removed without loss.
    if (kind === 'directory') await rmdir(file).catch(ignoring('ENOTEMPTY', 'ENOTDIR', 'ENOENT'));
    else if (found.isFile() && found.size === 0n) await rm(file, { force: true });
    return;
  }
  if (isIt(volume, found)) await removeTree(file);
}

/**
 * Paths removed with a container: those made for it, except volumes that another host's container now uses. Its
 * directories are removed only if empty. Pure.
 */
export function ownVolumes(
  record: ContainerRecord,
): NonNullable<ContainerRecord['made']> | undefined {
  const { made, volumes = [] } = record;
  if (made?.volumes === undefined) return made;
  const shared = new Set(volumes.filter((each) => each.shared).map((each) => each.path));
  return { ...made, volumes: made.volumes.filter((each) => !shared.has(each.path)) };
}

/** Renames volumes that no migration made, so that their names are free when the container returns. Can be repeated. */
export async function putAside(record: ContainerRecord | undefined): Promise<void> {
  const made = new Set(record?.made?.volumes?.map((each) => each.path));
  for (const { path: file, shared } of record?.volumes ?? []) {
    // The other host's container uses the same volume.
    if (made.has(file) || shared === true) continue;
    await inRealDirectory(file, (at) => rename(at, `${at}.moved-${record?.token}`)).catch(absent);
  }
}

function stillMounted(point: string): Error {
  const hint = `Unmount ${point}, and run \`godwit resolve\` again.`;
  const what = `${point} is mounted in a volume that is to be removed`;
  return godwitError('GODWIT_INTERNAL', { what }, { hint });
}
