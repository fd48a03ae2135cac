import { lstat, readFile } from 'node:fs/promises';
import { absent } from '../../../system/ignoring.ts';
import { inRealDirectory } from '../../../system/files/real-directory.ts';
import type { HostContext } from '../host/host-context.ts';
import { otherUser, whyNotAbove } from './made-volumes.ts';
import { mountsBelow } from './mounts.ts';
import { lookForOpen } from './open-in-volume.ts';
import { processesIn } from '../host/processes.ts';
import type { ContainerRecord, SharedVolume } from '../link/records.ts';
import { archiveMs, volumeName } from './trees.ts';
import { mountsPart, placeOf, type VolumeHere } from './volumes.ts';
import { placeIn, type Volume } from './volume-names.ts';

/**
 * Volumes that both hosts see, as the movers have proved. The destination mounts them in place: nothing is sent,
 * created, renamed or removed. Only the right to run prevents writes by two copies.
 */

export function sharedIn(
  files: ReadonlyMap<string, string> | undefined,
  volumes: readonly Volume[] = [],
): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  for (const index of volumes.keys()) {
    const file = files?.get(volumeName(index));
    if (file !== undefined) found.set(index, file);
  }
  return found;
}

export function withShared(
  volumes: readonly VolumeHere[],
  shared: readonly string[] = [],
): VolumeHere[] {
  return volumes.map(({ path, kind, bytes }, index) => {
    const here = { path, kind, bytes };
    return shared.includes(volumeName(index)) ? { ...here, shared: true } : here;
  });
}

async function identityOf(
  { prefix }: Pick<HostContext, 'prefix'>,
  file: string,
): Promise<{ readonly at: string; readonly kind: Volume['kind'] | 'other' } | undefined> {
  const look = (at: string) => lstat(at, { bigint: true });
  // The path into another mount namespace is itself a link.
  const found = await (
    prefix === '' ? inRealDirectory(file, look) : look(`${prefix}${file}`)
  ).catch(absent);
  if (found === undefined) return undefined;
  const kind = found.isDirectory() ? 'directory' : found.isFile() ? 'file' : 'other';
  return { kind, at: `${found.dev}:${found.ino}` };
}

export async function sharedHere(
  context: Pick<HostContext, 'prefix'>,
  volumes: readonly Volume[],
  shared: ReadonlyMap<number, string>,
): Promise<SharedVolume[]> {
  const found: SharedVolume[] = [];
  for (const [index, path] of shared) {
    const now = await identityOf(context, path);
    const kind = volumes[index]?.kind;
    if (kind === undefined || now?.kind !== kind) throw new Error(`${path} is no ${kind} any more`);
    found.push({ index, path, kind, at: now.at });
  }
  return found;
}

/** Rejects if a volume's path now leads to another file or directory than in the check. */
export async function checkShared(
  context: Pick<HostContext, 'prefix'>,
  shared: readonly SharedVolume[] = [],
): Promise<void> {
  for (const { path, at } of shared) {
    const now = await identityOf(context, path);
    if (now?.at !== at) throw new Error(`${path} is not the volume any more that both hosts saw`);
  }
}

export function placesByNumber(
  made: ContainerRecord['made'],
  volumes: readonly Volume[] = [],
): (string | undefined)[] {
  const all = [...(made?.volumes ?? []), ...(made?.shared ?? [])];
  return volumes.map((_, number) => all.find(({ index }) => index === number)?.path);
}

interface ForWhom {
  readonly guest: string;
  readonly signal: AbortSignal;
}

export async function whyNotMounted(
  context: Pick<HostContext, 'volumeDirs' | 'records' | 'mountsOf' | 'prefix' | 'runc'>,
  { kind }: Volume,
  file: string,
  { guest, signal }: ForWhom,
): Promise<string | undefined> {
  const { volumeDirs, records, mountsOf, runc } = context;
  const place = placeIn(file, volumeDirs);
  if (place === undefined)
    return `it sees it at ${file}, below no directory of its \`drivers.criu.volumeDirs\``;
  const above = (await whyNotAbove(file)).why;
  if (above !== undefined) return above;
  const now = await identityOf(context, file);
  // If containers are in another mount namespace, they would mount something else.
  const own = await identityOf({ prefix: '' }, file);
  if (now?.kind !== kind || now.at !== own?.at) return `${file} is no ${kind} there`;
  const table = await readFile(`/proc/${mountsOf ?? 'self'}/mountinfo`, 'utf8');
  const [mounted] = mountsBelow(table, file);
  if (mounted !== undefined) return `${mounted} is a mount of its own`;
  const other = await otherUser(records, guest, file);
  if (other !== undefined) return other;
  const [volume, dir] = [placeOf(table, file), placeOf(table, place.dir)];
  for (const { id, pid } of await runc.list(signal)) {
    if (pid <= 0 || id === guest) continue;
    const theirs = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '');
    if (mountsPart(theirs, volume, dir)) return `${id} mounts ${file} too`;
  }
  return undefined;
}

interface MountedVolumes {
  readonly cgroup: string;
  readonly volumes: readonly VolumeHere[];
  readonly mounted: readonly { readonly device: string }[];
}

/** Repeats the check for the frozen source, which may since have deleted a file or bound a socket. */
export async function refuseOpen({ cgroup, volumes, mounted }: MountedVolumes): Promise<void> {
  const pids = await processesIn(cgroup);
  for (const [index, { shared }] of volumes.entries()) {
    const at = mounted[index]?.device;
    const found = shared === true && at !== undefined ? await lookForOpen(pids, at) : undefined;
    if (found !== undefined) throw new Error(found.reason);
  }
}

/** Writes the data of a source without running processes to the storage, for the other host to read. */
export async function writeOut(
  { runc }: { readonly runc: Pick<HostContext['runc'], 'run'> },
  volumes: readonly VolumeHere[],
  signal: AbortSignal,
): Promise<void> {
  for (const { path, shared, bytes } of volumes) {
    const options = { deadlineMs: archiveMs(bytes), signal };
    if (shared === true) await runc.run(['sync', '-f', '--', path], options);
  }
}
