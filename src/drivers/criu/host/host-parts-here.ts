import { createHash } from 'node:crypto';
import { lstat, realpath } from 'node:fs/promises';
import type { HostBind } from '../files/binds.ts';
import type { Obstacle } from '../obstacle.ts';
import type { HostContext } from './host-context.ts';
import type { ContainerSpec } from '../spec.ts';
import { fileDigest, layerDigest } from '../files/rootfs.ts';

/** Host files that a container reads, such as a GPU driver's; the other host must have equal ones. */

type Dependencies = Pick<HostContext, 'hostDirs' | 'records'>;
type HostPart = NonNullable<ContainerSpec['hostParts']>[number];

export interface HostPartsHere {
  readonly parts: readonly HostPart[];
  readonly obstacles: readonly Obstacle[];
}

const HINT =
  'Mount what both hosts have below the directories of `drivers.criu.hostDirs`, or name the directory to which the link leads there, on both hosts.';

export async function hostPartsOf(
  here: Dependencies,
  binds: readonly HostBind[],
  signal: AbortSignal,
): Promise<HostPartsHere> {
  const parts: HostPart[] = [];
  const obstacles: Obstacle[] = [];
  for (const { source, destination } of binds) {
    const digest = await digestOf(here, source, signal).catch(said(signal));
    if (typeof digest === 'string') parts.push({ path: source, digest });
    else {
      const reason = `${source}: ${digest.message}`.slice(0, 500);
      obstacles.push({ device: destination, type: 'bind mount', reason, hint: HINT });
    }
  }
  return { parts, obstacles };
}

/** First part that is missing here or has other contents; undefined if there is none. */
export async function missingPart(
  here: Dependencies,
  wanted: readonly HostPart[],
  signal: AbortSignal,
): Promise<{ readonly path: string; readonly what: string } | undefined> {
  for (const { path, digest } of wanted) {
    if (!isBelow(path, here.hostDirs) || path.split('/').includes('..'))
      return { path, what: NOWHERE };
    const own = await digestOf(here, path, signal).catch(said(signal));
    if (own instanceof Error) return { path, what: own.message.slice(0, 200) };
    if (own !== digest) return { path, what: 'it has other content than at the source' };
  }
  return undefined;
}

/** Socket of NVIDIA's persistence daemon, which the toolkit mounts if the daemon runs. */
const GPU_SOCKET = '/run/nvidia-persistenced/socket';

const NOWHERE = 'it is below no directory of `drivers.criu.hostDirs`';

function isBelow(path: string, dirs: readonly string[]): boolean {
  return dirs.some((dir) => path === dir || path.startsWith(`${dir}/`));
}

function said(signal: AbortSignal): (thrown: unknown) => Error {
  return (thrown) => {
    signal.throwIfAborted();
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  };
}

/** Digest of the path's target, as a mount follows it: a link to another driver version stays in its directory. */
async function digestOf(
  { records, hostDirs }: Dependencies,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const real = await realpath(path);
  const dirs = await Promise.all(hostDirs.map((dir) => realpath(dir).catch(() => dir)));
  if (!isBelow(real, dirs)) throw new Error(`it leads to ${real}, and ${NOWHERE}`);
  const facts = await lstat(real);
  if (facts.isDirectory()) return layerDigest(real, records.directory, signal);
  // A socket has no content; its server is host-specific.
  if (facts.isSocket() && path === GPU_SOCKET)
    return createHash('sha256').update('socket').digest('hex');
  if (!facts.isFile()) throw new Error('it is neither a directory nor a plain file');
  return fileDigest(real, records.directory, signal);
}
