import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { RootFileSystem } from './rootfs.ts';
import type { Runc } from './runc.ts';
import type { PageSender } from './sender.ts';
import type { VolumeHere } from './volumes.ts';

/** What a container has in files, each tree as one archive: what was written above the layers, and its volumes. */

export interface Tree extends VolumeHere {
  /** As the wire has it: `root`, or `volume-N`. */
  readonly name: string;
}

export function treesOf(
  { upper }: Pick<RootFileSystem, 'upper'>,
  volumes: readonly VolumeHere[],
): Tree[] {
  const root: Tree = { name: 'root', path: upper, kind: 'directory', bytes: 0 };
  return [root, ...volumes.map((each, index) => ({ ...each, name: volumeName(index) }))];
}

export function volumeName(index: number): string {
  return `volume-${index}`;
}

const ARCHIVE_MS = 120_000;
/** What the slowest storage takes. */
const BYTES_PER_MS = 50_000;

/** What packing or unpacking so much may take, ms. */
export function archiveMs(bytes: number): number {
  return ARCHIVE_MS + Math.ceil(bytes / BYTES_PER_MS);
}

const KEEP = ['--xattrs', '--xattrs-include=*', '--numeric-owner'];

/** Packs one tree after the other and sends it. `failed`: tar did not get all of one; throws, or the rest is sent as it is. */
export async function sendTrees(
  { runc, sender, directory, signal }: Sending,
  trees: readonly Tree[],
  failed: (error: unknown) => void,
): Promise<void> {
  for (const tree of trees) {
    const file = path.join(directory, `${tree.name}.tar`);
    await pack(runc, tree, file, signal).catch(failed);
    await sender.file(tree.name, tree.name === 'root' ? 'root' : 'volume', file);
    await rm(file, { force: true });
  }
}

interface Sending {
  readonly runc: Pick<Runc, 'run'>;
  readonly sender: PageSender;
  /** Where archives are until they are sent. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** With owners, modes, extended attributes, holes and hard links; not what is mounted there. */
async function pack(
  runc: Pick<Runc, 'run'>,
  { path: from, kind, bytes }: Tree,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const [at, what] =
    kind === 'directory' ? [from, '.'] : [path.dirname(from), `./${path.basename(from)}`];
  const keep = [...KEEP, '--one-file-system', '--sparse', '--warning=no-file-changed'];
  const argv = ['tar', ...keep, '-C', at, '-cf', file, '--', what];
  await runc.run(argv, { deadlineMs: archiveMs(bytes), signal });
}

/** Into a directory that holds nothing of another archive: a link of it would be followed. */
export async function unpack(
  runc: Pick<Runc, 'run'>,
  file: string,
  { into, bytes }: { readonly into: string; readonly bytes: number },
  signal: AbortSignal,
): Promise<void> {
  const argv = ['tar', ...KEEP, '-p', '-C', into, '-xf', file];
  await runc.run(argv, { deadlineMs: archiveMs(bytes), signal });
}
