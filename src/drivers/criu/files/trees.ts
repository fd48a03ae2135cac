import { readFile, rm, stat, statfs, writeFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../clock.ts';
import { changesBetween, digestOf, scanTree, type Scan } from '../changes.ts';
import type { RootFileSystem } from './rootfs.ts';
import type { Runc } from '../runtimes/runc.ts';
import type { PageSender } from '../link/sender.ts';
import type { VolumeHere } from './volumes.ts';
import type { CommandOptions } from '../command.ts';

/**
 * Container's files: the tree above the layers, and one tree per volume.
 *
 * If the destination accepts changes, a tree is sent as an archive while the container runs, and then as an
 * archive of changes with a list of removed files. Otherwise a whole archive is sent twice, and the second
 * counts.
 */

export interface Tree extends VolumeHere {
  /** Name on the wire: `root` or `volume-N`. */
  readonly name: string;
}

export function treesOf(
  { upper }: Pick<RootFileSystem, 'upper'>,
  volumes: readonly VolumeHere[],
  rootBytes: number,
): Tree[] {
  const root: Tree = { name: 'root', path: upper, kind: 'directory', bytes: rootBytes };
  const sent = volumes.map((each, index) => ({ ...each, name: volumeName(index) }));
  return [root, ...sent.filter(({ shared }) => shared !== true)];
}

export function volumeName(index: number): string {
  return `volume-${index}`;
}

const ARCHIVE_MS = 120_000;
/** Rate of the slowest supported storage. */
const BYTES_PER_MS = 50_000;

/** Time limit for packing or unpacking that many bytes, ms. */
export function archiveMs(bytes: number): number {
  return ARCHIVE_MS + Math.ceil(bytes / BYTES_PER_MS);
}

const KEEP = ['--xattrs', '--xattrs-include=*', '--numeric-owner'];

/** Files changed this long before count as changed: file system clocks are coarse. */
const BEFORE_NS = 1_000_000_000n;

/** ext4, XFS and Btrfs: a write to a mapped file also updates its time there, after the earlier data is on disk. */
const TELLS_WRITES: ReadonlySet<number> = new Set([0xef53, 0x5846_5342, 0x9123_683e]);

interface Sending {
  readonly runc: Pick<Runc, 'run'>;
  readonly sender: PageSender;
  readonly directory: string;
  readonly signal: AbortSignal;
}

interface SentTree {
  readonly scan: Scan;
  readonly sinceNs: bigint;
  /** Archived names that the scan before did not see: their later removal would go unnoticed. */
  readonly unseen: readonly string[];
}

export class TreeSender {
  readonly #sending: Sending;
  readonly #trees: readonly Tree[];
  readonly #sent = new Map<string, SentTree>();
  readonly #packed = new Map<string, number>();

  constructor(sending: Sending, trees: readonly Tree[]) {
    this.#sending = sending;
    this.#trees = trees;
  }

  /** Runs while the container runs. Rejects if a tree cannot be packed, which would also fail after the freeze. */
  async first(): Promise<void> {
    const { sender } = this.#sending;
    for (const tree of this.#trees) {
      const isFirst = sender.takesChanges && (await tellsWrites(tree));
      await (isFirst ? this.#base(tree) : this.#whole(tree, true));
    }
  }

  get unpackMs(): number {
    return this.#trees.reduce((sum, tree) => sum + archiveMs(this.#bytesOf(tree)), 0);
  }

  #bytesOf({ name, bytes }: Tree): number {
    return Math.max(bytes, this.#packed.get(name) ?? 0);
  }

  /** A tree that was not counted in time is limited by the used space of its file system. */
  async #packMs(tree: Tree): Promise<number> {
    return archiveMs(this.#bytesOf(tree) || (await usedBytes(tree.path)));
  }

  /** Runs while nothing writes to the trees. */
  async last(): Promise<void> {
    for (const tree of this.#trees) {
      const before = this.#sent.get(tree.name);
      if (before === undefined) await this.#whole(tree, false);
      else await this.#changes(tree, before);
    }
  }

  async #whole(tree: Tree, runs: boolean): Promise<void> {
    const what = tree.name === 'root' ? 'root' : 'volume';
    await this.#archive(tree, what, [contentOf(tree)], runs);
  }

  async #base(tree: Tree): Promise<void> {
    const { runc, signal } = this.#sending;
    const sinceNs = BigInt(systemClock.wallMs()) * 1_000_000n - BEFORE_NS;
    const deadlineMs = await this.#packMs(tree);
    await runc.run(['sync', '-f', tree.path], { deadlineMs, signal });
    const scan = await scanTree(tree.path, signal);
    const index = path.join(this.#sending.directory, `${tree.name}.index`);
    const names = ['-v', `--index-file=${index}`, '--quoting-style=escape'];
    await this.#archive(tree, 'base', [...names, '.'], true);
    const unseen = namesIn(await readFile(index, 'latin1')).filter((each) => !scan.has(each));
    await rm(index);
    this.#sent.set(tree.name, { scan, sinceNs, unseen });
  }

  async #changes(tree: Tree, before: SentTree): Promise<void> {
    const { sender, directory, signal } = this.#sending;
    const now = await scanTree(tree.path, signal);
    const { changed, gone } = changesBetween(before.scan, now, before.sinceNs);
    const list = path.join(directory, `${tree.name}.list`);
    await writeFile(list, listed(changed));
    await this.#archive(tree, 'changed', ['--no-recursion', '--null', '-T', list], false);
    // Existing ones of these are sent again: the earlier scan has none of them.
    await writeFile(list, listed([...gone, ...before.unseen]));
    await sender.file(tree.name, 'gone', list, { digest: digestOf(now) });
    await rm(list);
  }

  /** `runs`: a file may change during the read. */
  async #archive(
    tree: Tree,
    what: 'root' | 'volume' | 'base' | 'changed',
    content: readonly string[],
    runs: boolean,
  ): Promise<void> {
    const { runc, sender, directory, signal } = this.#sending;
    const file = path.join(directory, `${tree.name}.tar`);
    const keep = [...KEEP, '--one-file-system', '--sparse', '--warning=no-file-changed'];
    const at = tree.kind === 'directory' ? tree.path : path.dirname(tree.path);
    const argv = [...keep, '-C', at, '-cf', file, ...content];
    // tar's status 1 means that files changed during the read.
    const differs = runs ? { alsoDone: 1 } : {};
    const deadlineMs = await this.#packMs(tree);
    await runc.run(['tar', ...argv], { deadlineMs, signal, whole: true, ...differs });
    const { size } = await stat(file);
    this.#packed.set(tree.name, Math.max(size, this.#packed.get(tree.name) ?? 0));
    await sender.file(tree.name, what, file);
    await rm(file, { force: true });
  }
}

/** Names in tar's escaped list, in the form of `Scan`. Pure. */
export function namesIn(index: string): string[] {
  const plain = (_: string, code: string): string =>
    /^\d/.test(code) ? String.fromCharCode(Number.parseInt(code, 8)) : (ESCAPES[code] ?? code);
  return index
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replaceAll(/\\(\d{3}|.)/g, plain).replace(/\/$/, ''));
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

function contentOf({ kind, path: from }: Tree): string {
  return kind === 'directory' ? '.' : `./${path.basename(from)}`;
}

function listed(keys: readonly string[]): Buffer {
  return Buffer.from(keys.map((key) => `${key}\0`).join(''), 'latin1');
}

/** True if only a tree's changes must be sent during the freeze. */
export async function tellsWrites({ path: from, kind }: Tree): Promise<boolean> {
  return kind === 'directory' && TELLS_WRITES.has((await statfs(from)).type);
}

async function usedBytes(directory: string): Promise<number> {
  const { blocks, bfree, bsize } = await statfs(directory);
  return (blocks - bfree) * bsize;
}

interface Unpacking {
  readonly into: string;
  readonly bytes: number;
}

/** Unpacks into a directory without contents of another archive, whose links would be followed. */
export async function unpack(
  runc: Pick<Runc, 'run'>,
  file: string,
  { into, bytes }: Unpacking,
  signal: AbortSignal,
): Promise<void> {
  const argv = ['tar', ...KEEP, '-p', '-C', into, '-xf', file];
  await runc.run(argv, { deadlineMs: archiveMs(bytes), signal, whole: true });
}

/** Applies changes to an unpacked tree; nothing outside is touched through its links. */
export async function applyChanges(
  runc: Pick<Runc, 'run'>,
  {
    input,
    name,
    digest,
  }: { readonly input: string; readonly name: string; readonly digest: string },
  { into, bytes }: Unpacking,
  signal: AbortSignal,
): Promise<void> {
  const places = { tree: into, input };
  const options = { deadlineMs: archiveMs(bytes), signal, whole: true };
  const remove = ['xargs', '-0', '-r', '-a', `/in/${name}.gone`, 'rm', '-rf', '--'];
  await inChroot(runc, places, ['env', '-C', '/tree', ...remove], options);
  const extract = ['tar', ...KEEP, '-p', '-C', '/tree', '-xf', `/in/${name}.changed.tar`];
  await inChroot(runc, places, extract, options);
  if (digestOf(await scanTree(into, signal)) !== digest)
    throw new Error(`${into} is not what it is at the source`);
}

/**
 * Program that sees only the system's programs, one writable directory (`/tree`) and one readable directory
 * (`/in`), so that links from another host lead nowhere else. Its mounts end with it.
 */
const SCRIPT = `
mount -t tmpfs -o mode=0700 tmpfs "$1"
cd "$1"
mkdir tree in
for each in usr bin sbin lib lib64; do
  if [ -L "/$each" ]; then ln -s "$(readlink "/$each")" "$each"
  elif [ -d "/$each" ]; then
    mkdir "$each"
    mount --bind "/$each" "$each"
    mount -o remount,bind,ro "$each"
  fi
done
mount --bind "$2" tree
mount --bind "$3" in
mount -o remount,bind,ro in
shift 3
exec chroot . "$@"
`;

/** `input`: a directory of this process, in which a subdirectory is used. */
async function inChroot(
  runc: Pick<Runc, 'run'>,
  { tree, input }: { readonly tree: string; readonly input: string },
  argv: readonly string[],
  options: Partial<CommandOptions>,
): Promise<void> {
  const root = path.join(input, 'chroot');
  await mkdir(root, { recursive: true, mode: 0o700 });
  const enter = ['unshare', '-m', '--propagation', 'private', 'sh', '-ec', SCRIPT, 'chroot'];
  await runc.run([...enter, root, tree, input, ...argv], options);
}
