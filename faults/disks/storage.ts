/** What lies on the storage of a host, read from its file system and from nothing else. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { RAW_STRIDE_MIB } from './plan.ts';

export interface StoredFile {
  readonly ino: number;
  readonly links: number;
  readonly directory: boolean;
  /** Of what nobody writes to: all of a backing file, the most of a raw image. */
  readonly sha256?: string;
}

/** By path below the storage's directory. */
export type StoredFiles = ReadonlyMap<string, StoredFile>;

/** The file on which the guest's first disk is based: nobody may write to it. */
const BASE = /-base\.[a-z0-9]+$/;
const RAW = /\.raw$/;
const MIB = 1024 ** 2;

export function storedIn(directory: string): StoredFiles {
  const found = new Map<string, StoredFile>();
  for (const name of namesBelow(directory)) {
    const file = path.join(directory, name);
    const at = statSync(file, { throwIfNoEntry: false });
    // It went between the two looks.
    if (at === undefined) continue;
    const { ino, nlink } = at;
    const sha256 = at.isFile() ? unwritten(file) : undefined;
    found.set(name, {
      ino,
      links: at.isDirectory() ? 1 : nlink,
      directory: at.isDirectory(),
      ...(sha256 === undefined ? {} : { sha256 }),
    });
  }
  return found;
}

/** The hash of what the guest does not write to; undefined where that is unknown. */
function unwritten(file: string): string | undefined {
  const isRaw = RAW.test(file);
  if (!isRaw && !BASE.test(file)) return undefined;
  const hash = createHash('sha256');
  const bytes = readFileSync(file);
  for (let at = 0; at < bytes.length; at += MIB) {
    if (!isRaw || (at / MIB) % RAW_STRIDE_MIB !== 0) hash.update(bytes.subarray(at, at + MIB));
  }
  return hash.digest('hex');
}

/** What the files below a directory take; those that a name fits where one is given. */
export function takenBytes(directory: string, fits = /./): number {
  let bytes = 0;
  const seen = new Set<number>();
  for (const name of namesBelow(directory)) {
    if (!fits.test(path.basename(name))) continue;
    const at = statSync(path.join(directory, name), { throwIfNoEntry: false });
    // While it is made, a file has two names.
    if (at === undefined || !at.isFile() || seen.has(at.ino)) continue;
    seen.add(at.ino);
    bytes += at.blocks * 512;
  }
  return bytes;
}

/** None where a directory goes while it is read: the next look finds out what became of it. */
function namesBelow(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
