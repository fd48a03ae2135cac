import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import { absent } from '../../host/ignoring.ts';

/**
 * What changed in a tree between two looks at it. A file that was not written keeps the time of its last change, which no
 * program can set.
 */

export interface Stamp {
  /** With its kind. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  readonly ino: bigint;
  readonly ctimeNs: bigint;
}

/** By its path in the tree, such as `./a`, a directory before what is in it; a name's bytes are letters of latin1. */
export type Scan = ReadonlyMap<string, Stamp>;

/** More files than this would keep this process busy. */
const MOST_FILES = 500_000;
/** Looked at together. */
const BATCH = 64;

/** What is mounted in it is left out, as tar does; sockets too, which come with the processes. */
export async function scanTree(directory: string, signal: AbortSignal): Promise<Scan> {
  const found = new Map<string, Stamp>();
  const own = await lstat(directory, { bigint: true });
  found.set('.', stampOf(own));
  const queue = ['.'];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    // One that was removed meanwhile, or replaced by a file, has nothing in it.
    const inIt = await readdir(placeOf(directory, at), { encoding: 'buffer' }).catch(absent);
    const names = inIt ?? [];
    for (let index = 0; index < names.length; index += BATCH) {
      signal.throwIfAborted();
      const keys = names
        .slice(index, index + BATCH)
        .map((name) => `${at}/${name.toString('latin1')}`);
      const facts = await Promise.all(
        keys.map((key) => lstat(placeOf(directory, key), { bigint: true }).catch(absent)),
      );
      for (const [number, each] of facts.entries()) {
        const key = keys[number] ?? '';
        if (each === undefined || each.isSocket()) continue;
        found.set(key, stampOf(each));
        if (each.isDirectory() && each.dev === own.dev) queue.push(key);
      }
      if (found.size > MOST_FILES)
        throw new Error(`${directory} has more than ${MOST_FILES} files`);
    }
  }
  return found;
}

function placeOf(directory: string, key: string): Buffer {
  return Buffer.concat([Buffer.from(`${directory}${path.sep}`), Buffer.from(key, 'latin1')]);
}

interface Facts {
  readonly mode: bigint;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly size: bigint;
  readonly ino: bigint;
  readonly ctimeNs: bigint;
}

function stampOf({ mode, uid, gid, size, ino, ctimeNs }: Facts): Stamp {
  return { mode: Number(mode), uid: Number(uid), gid: Number(gid), size, ino, ctimeNs };
}

function kindOf({ mode }: Stamp): number {
  return mode & constants.S_IFMT;
}

/**
 * What is new or other than before, and what is not there any more, without what is below it. What changed at `sinceNs` or
 * later may have changed again without another time: it counts as changed. Pure.
 */
export function changesBetween(
  before: Scan,
  now: Scan,
  sinceNs: bigint,
): { readonly changed: readonly string[]; readonly gone: readonly string[] } {
  const changed: string[] = [];
  for (const [key, stamp] of now) {
    const old = before.get(key);
    const isSame =
      old !== undefined &&
      kindOf(old) === kindOf(stamp) &&
      old.ino === stamp.ino &&
      old.size === stamp.size &&
      old.ctimeNs === stamp.ctimeNs &&
      stamp.ctimeNs < sinceNs;
    if (!isSame) changed.push(key);
  }
  const left = new Set<string>();
  const gone: string[] = [];
  for (const [key, old] of before) {
    const stamp = now.get(key);
    if (stamp !== undefined && kindOf(stamp) === kindOf(old)) continue;
    left.add(key);
    if (!left.has(key.slice(0, key.lastIndexOf('/')))) gone.push(key);
  }
  return { changed, gone };
}

/** SHA-256 of names, kinds, modes, owners and sizes: two trees that differ in one of them have another one. Pure. */
export function digestOf(scan: Scan): string {
  const hash = createHash('sha256');
  for (const key of [...scan.keys()].toSorted()) {
    const { mode, uid, gid, size } = scan.get(key) ?? { mode: 0, uid: 0, gid: 0, size: 0n };
    const isFile = (mode & constants.S_IFMT) === constants.S_IFREG;
    hash.update(`${JSON.stringify(key)} ${mode} ${uid} ${gid} ${isFile ? size : 0n}\n`);
  }
  return hash.digest('hex');
}
