import { lstat, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { pids } from '../../../system/processes/process.ts';
import { inRealDirectory } from '../../../system/files/real-directory.ts';
import type { HostContext } from '../host/host-context.ts';
import type { RuncState, Runc } from '../runtimes/runc.ts';
import { mountsBelow } from './mounts.ts';
import type { Bind } from './binds.ts';
import type { Obstacle } from '../obstacle.ts';
import { readConfig } from '../read-config.ts';
import { unescaped } from './rootfs.ts';
import { overlaps, type Volume } from './volume-names.ts';

export interface VolumeHere {
  readonly path: string;
  readonly kind: Volume['kind'];
  readonly bytes: number;
  /** The destination sees it too: it stays and is not sent. */
  readonly shared?: true | undefined;
}

/** Time limit for a scan of a volume's names, ms. */
export const LOOK_MS = 60_000;

export interface LookedAt {
  readonly volumes: readonly Volume[];
  readonly here: readonly VolumeHere[];
  readonly obstacles: readonly Obstacle[];
}

/** `processes`: the container's; `all`: those of all runc containers here. */
export async function lookAtVolumes(
  context: HostContext,
  binds: readonly Bind[],
  { processes, all }: { readonly processes: readonly number[]; readonly all: readonly RuncState[] },
  signal: AbortSignal,
): Promise<LookedAt> {
  const volumes: Volume[] = [];
  const here: VolumeHere[] = [];
  const obstacles: Obstacle[] = [];
  if (binds.length === 0) return { volumes, here, obstacles };
  const table = await readFile(`/proc/${context.mountsOf ?? 'self'}/mountinfo`, 'utf8');
  const others = await otherTables(processes, all);
  for (const bind of binds) {
    const { dir, name, source } = bind;
    const found = await kindOf(source);
    const wrong =
      typeof found === 'string'
        ? undefined
        : { ...found, device: bind.destination, type: 'volume' };
    const obstacle =
      wrong ??
      mountObstacle(bind, table) ??
      useObstacle(bind, table, others) ??
      (await subvolumeObstacle(context, bind, signal));
    if (obstacle !== undefined) obstacles.push(obstacle);
    const kind = typeof found === 'string' ? found : 'directory';
    const bytes = obstacle === undefined ? await bytesIn(context, source, signal) : 0;
    volumes.push({ dir, name, kind, bytes });
    here.push({ path: source, kind, bytes });
  }
  return { volumes, here, obstacles };
}

/** Volumes of a container that will be ended, by its configuration. Rejects if one is missing. */
export async function volumesHere(
  context: Pick<HostContext, 'volumeDirs'> & { readonly runc: Pick<Runc, 'run'> },
  config: string,
  signal: AbortSignal,
): Promise<VolumeHere[]> {
  const found: VolumeHere[] = [];
  for (const { source } of readConfig(config, context.volumeDirs).binds) {
    const kind = await kindOf(source);
    if (typeof kind !== 'string') throw new Error(kind.reason);
    found.push({ path: source, kind, bytes: await bytesIn(context, source, signal) });
  }
  return found;
}

async function kindOf(source: string): Promise<Volume['kind'] | Pick<Obstacle, 'reason' | 'hint'>> {
  const hint = 'Mount a directory or a plain file, by the path that has no symbolic link in it.';
  try {
    const found = await inRealDirectory(source, (at) => lstat(at));
    if (found.isDirectory()) return 'directory';
    if (found.isFile()) return 'file';
    const what = found.isSymbolicLink() ? 'a symbolic link' : 'no directory and no plain file';
    return { reason: `${source} is ${what}`, hint };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { reason: code === 'ENOENT' ? `${source} is not there` : message, hint };
  }
}

function mountObstacle({ destination, source }: Bind, table: string): Obstacle | undefined {
  const [mounted] = mountsBelow(table, source);
  if (mounted === undefined) return undefined;
  const hint = 'Mount in the container what lies below it, or nothing in it on the host.';
  const reason = `${mounted} is a mount of its own on this host`;
  return { device: destination, type: 'volume', reason, hint };
}

/** A Btrfs subvolume is not a mount, but `tar --one-file-system` omits it, so it would not move. */
async function subvolumeObstacle(
  { runc }: { readonly runc: Pick<Runc, 'run'> },
  { destination, source }: Bind,
  signal: AbortSignal,
): Promise<Obstacle | undefined> {
  const devices = 'find "$0" -xdev -type d -printf "%D\\n" | sort -u | wc -l';
  const found = await runc.run(['sh', '-c', devices, source], {
    deadlineMs: LOOK_MS,
    signal,
    whole: true,
  });
  if (Number.parseInt(found, 10) <= 1) return undefined;
  const hint = 'Make it a plain directory, or move the subvolume out of the volume.';
  const reason = `a subvolume of its file system lies in ${source}`;
  return { device: destination, type: 'volume', reason, hint };
}

function useObstacle(
  { destination, source, dir }: Bind,
  table: string,
  others: readonly { readonly who: string; readonly table: string }[],
): Obstacle | undefined {
  const [own, above] = [placeOf(table, source), placeOf(table, dir)];
  const user = others.find((each) => mountsPart(each.table, own, above))?.who;
  if (user === undefined) return undefined;
  const hint = `It would be two that differ. Stop ${user} first, or give the container a volume of its own.`;
  return { device: destination, type: 'volume', reason: `${user} mounts ${source} too`, hint };
}

interface Place {
  readonly device: string;
  readonly inside: string;
}

interface MountLine extends Place {
  readonly point: string;
}

function linesOf(mountinfo: string): MountLine[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [, , device, inside, point] = line.split(' ');
    if (device === undefined || inside === undefined || point === undefined) return [];
    return [{ device, inside: unescaped(inside), point: unescaped(point) }];
  });
}

/** Place of a path without symbolic links. Pure. */
export function placeOf(mountinfo: string, file: string): Place | undefined {
  let found: MountLine | undefined;
  for (const line of linesOf(mountinfo)) {
    const within = line.point === '/' || file === line.point || file.startsWith(`${line.point}/`);
    // A later mount covers an earlier one at the same place.
    if (within && line.point.length >= (found?.point.length ?? 0)) found = line;
  }
  if (found === undefined) return undefined;
  return {
    device: found.device,
    inside: path.posix.join(found.inside, file.slice(found.point.length)),
  };
}

/** True if a mount namespace mounts that volume, a part of it, or more of its volume directory. Pure. */
export function mountsPart(
  mountinfo: string,
  volume: Place | undefined,
  dir: Place | undefined,
): boolean {
  if (volume === undefined || dir === undefined) return false;
  return linesOf(mountinfo).some(({ device, inside }) => {
    if (device !== volume.device || !overlaps(inside, volume.inside)) return false;
    // The volume directory's own file system is mounted for all.
    return dir.device !== device || inside.startsWith(`${dir.inside.replace(/\/$/, '')}/`);
  });
}

/** Mounts of all other mount namespaces, with a name of their users. */
async function otherTables(
  own: readonly number[],
  all: readonly RuncState[],
): Promise<{ who: string; table: string }[]> {
  const seen = new Set<string>();
  for (const pid of own) seen.add((await namespaceOf(pid)) ?? '');
  const first = all.filter(({ pid }) => pid > 0).map(({ id, pid }) => [pid, id] as const);
  const found: { who: string; table: string }[] = [];
  for (const [pid, name] of [...first, ...pids().map((pid) => [pid, undefined] as const)]) {
    const namespace = await namespaceOf(pid);
    if (namespace === undefined || seen.has(namespace)) continue;
    seen.add(namespace);
    const table = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '');
    found.push({ who: name ?? `process ${pid}`, table });
  }
  return found;
}

function namespaceOf(pid: number): Promise<string | undefined> {
  return readlink(`/proc/${pid}/ns/mnt`).catch(() => undefined);
}

/** Used bytes on its file system; files removed meanwhile do not count. */
export async function bytesIn(
  { runc }: { readonly runc: Pick<Runc, 'run'> },
  file: string,
  signal: AbortSignal,
): Promise<number> {
  const du = ['sh', '-c', 'du -sxB1 -- "$0" || true', file];
  const text = await runc.run(du, { deadlineMs: LOOK_MS, signal, whole: true });
  return Number.parseInt(text, 10) || 0;
}
