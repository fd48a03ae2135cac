import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Identifier } from '../../port/disks.ts';
import type { BackingFile } from '../../protocol/peer/backing-file.ts';
import { place, type ImagePlace } from '../../protocol/disk.ts';
import type { Pool } from '../proof/pools.ts';

/** Limit over all pools. */
const MAX_ENTRIES = 20_000;
const MAX_DEPTH = 8;
/** Files of the same size that are hashed for one image. */
const MAX_HASHED = 8;
const ANY_WRITE = 0o222;
/** Rank of a file with another name. */
const OTHER = 2;

interface Candidate {
  readonly pool: Pool;
  readonly path: string;
  readonly bytes: number;
  /** No user can write to it. */
  readonly fixed: boolean;
}

/**
 * Finds files with the same content in this host's pools; the same place comes first, then the same name. A file with
 * another name only counts if no user can write to it, because it may change later. Symbolic links are not followed.
 */
export async function findBackingFiles(
  backingFiles: readonly BackingFile[],
  pools: readonly Pool[],
  images: Identifier,
  signal: AbortSignal,
): Promise<ImagePlace[]> {
  if (backingFiles.length === 0) return [];
  const sizes = new Set(backingFiles.map(({ bytes }) => bytes));
  const candidates = await candidatesIn(pools, sizes, signal);
  const found: ImagePlace[] = [];
  for (const backing of backingFiles) {
    const at = await firstSame(ordered(backing, candidates), backing, images, signal);
    const parsed = place.safeParse({ node: backing.node, pool: at?.pool.id, path: at?.path });
    if (parsed.success) found.push(parsed.data);
  }
  return found;
}

/** Files of the right size, most likely first. Pure. */
export function ordered<T extends Omit<Candidate, 'pool'>>(
  backing: Pick<BackingFile, 'path' | 'bytes'>,
  candidates: readonly T[],
): T[] {
  const likely = (candidate: T): number => {
    if (candidate.path === backing.path) return 0;
    return path.basename(candidate.path) === path.basename(backing.path) ? 1 : OTHER;
  };
  return candidates
    .filter(({ bytes }) => bytes === backing.bytes)
    .filter((each) => each.fixed || likely(each) < OTHER)
    .toSorted((left, right) => likely(left) - likely(right))
    .slice(0, MAX_HASHED);
}

async function firstSame(
  candidates: readonly Candidate[],
  { sha256 }: BackingFile,
  images: Identifier,
  signal: AbortSignal,
): Promise<Candidate | undefined> {
  for (const candidate of candidates) {
    const file = path.join(candidate.pool.root, candidate.path);
    const is = await images.identify(file, signal).catch(() => undefined);
    signal.throwIfAborted();
    if (is?.sha256 === sha256) return candidate;
  }
  return undefined;
}

async function candidatesIn(
  pools: readonly Pool[],
  sizes: ReadonlySet<number>,
  signal: AbortSignal,
): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  const directories = pools.map((pool) => ({ pool, part: '', depth: 0 }));
  let seen = 0;
  for (let next = directories.shift(); next !== undefined; next = directories.shift()) {
    const { pool, part, depth } = next;
    signal.throwIfAborted();
    const entries = await readdir(path.join(pool.root, part), { withFileTypes: true }).catch(
      () => [],
    );
    for (const entry of entries) {
      seen += 1;
      if (seen > MAX_ENTRIES) return candidates;
      const inPool = path.join(part, entry.name);
      if (entry.isDirectory() && depth < MAX_DEPTH) {
        directories.push({ pool, part: inPool, depth: depth + 1 });
      }
      // Files in the making may never be complete.
      if (!entry.isFile() || entry.name.startsWith('.godwit-')) continue;
      const info = await lstat(path.join(pool.root, inPool)).catch(() => undefined);
      // A file that a migration may still remove has two names.
      const isKept = info?.nlink === 1;
      if (info !== undefined && isKept && sizes.has(info.size)) {
        const fixed = (info.mode & ANY_WRITE) === 0;
        candidates.push({ pool, path: inPool, bytes: info.size, fixed });
      }
    }
  }
  return candidates;
}
