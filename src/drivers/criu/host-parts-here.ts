import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat } from 'node:fs/promises';
import type { HostBind } from './binds.ts';
import type { HostContext } from './host-context.ts';
import type { ContainerSpec } from './spec.ts';
import { layerDigest } from './rootfs.ts';

/** What a container reads of its host, such as the files of a GPU's driver: the other host has to have the same. */

type Dependencies = Pick<HostContext, 'hostDirs' | 'records'>;
type HostPart = NonNullable<ContainerSpec['hostParts']>[number];

export async function hostPartsOf(
  parts: Dependencies,
  binds: readonly HostBind[],
  signal: AbortSignal,
): Promise<HostPart[]> {
  const found: HostPart[] = [];
  for (const { source } of binds)
    found.push({ path: source, digest: await digestOf(parts, source, signal) });
  return found;
}

/** The first that this host has not, or has with other content; undefined where it has all of them. */
export async function missingPart(
  parts: Dependencies,
  wanted: readonly HostPart[],
  signal: AbortSignal,
): Promise<{ readonly path: string; readonly what: string } | undefined> {
  for (const { path, digest } of wanted) {
    const isNamed = parts.hostDirs.some((dir) => path === dir || path.startsWith(`${dir}/`));
    if (!isNamed || path.split('/').includes('..'))
      return { path, what: 'it is below no directory of `drivers.criu.hostDirs`' };
    const own = await digestOf(parts, path, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      return error instanceof Error ? error : new Error(String(error));
    });
    if (own instanceof Error) return { path, what: own.message.slice(0, 200) };
    if (own !== digest) return { path, what: 'it has other content than at the source' };
  }
  return undefined;
}

async function digestOf(
  { records }: Dependencies,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const facts = await lstat(path);
  if (facts.isDirectory()) return layerDigest(path, records.directory, signal);
  if (!facts.isFile()) throw new Error(`${path} is neither a directory nor a plain file`);
  const hash = createHash('sha256').update(`file ${facts.mode}`);
  for await (const part of createReadStream(path, { signal })) hash.update(part as Buffer);
  return hash.digest('hex');
}
