import { closeSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { survey } from './directory.ts';
import { seedHeader } from './seed.ts';
import { ENTRY_BYTES, removeSegment } from './segment.ts';

/** Lists the cache's directory over all circles, without their keys. */

const MAX_HEADER_BYTES = 8192;
const PAGE_BYTES = 4096;
const PLACES = 'places';

export interface Listing {
  readonly bytes: number;
  readonly pages: number;
  readonly seeds: readonly {
    readonly file: string;
    readonly pages: number;
    readonly changed: boolean;
  }[];
  readonly places: readonly string[];
}

/** Empty if the directory does not exist yet. */
export function listCache(directory: string): Listing {
  const isThere = statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true;
  if (!isThere) return { bytes: 0, pages: 0, seeds: [], places: [] };
  const { segments, indexBytes } = survey(directory, undefined);
  const segmentBytes = segments.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    bytes: segmentBytes + indexBytes,
    pages: Math.floor(segmentBytes / ENTRY_BYTES),
    seeds: seedsOf(directory).flatMap((index) => readSeed(index) ?? []),
    places: placesOf(directory),
  };
}

/** Removes the oldest segments until at most `bytes` are left, then seeds and place files. */
export function pruneCache(directory: string, bytes: number): { freed: number; left: number } {
  const before = listCache(directory).bytes;
  if (before === 0 && placesOf(directory).length === 0) return { freed: 0, left: 0 };
  const { segments } = survey(directory, undefined);
  let left = before;
  for (const segment of segments) {
    if (left <= bytes) break;
    removeSegment(segment.path);
    left -= segment.bytes;
  }
  if (left > bytes) for (const index of seedsOf(directory)) rmSync(index, { force: true });
  if (bytes === 0) rmSync(path.join(directory, PLACES), { recursive: true, force: true });
  const now = listCache(directory).bytes;
  return { freed: Math.max(0, before - now), left: now };
}

/** Removes place files of the guests that left longest ago until the rest takes at most `bytes`. */
export function trimPlaces(directory: string, bytes: number): number {
  const files = placesOf(directory)
    .map((name) => {
      const file = path.join(directory, PLACES, name);
      const found = statSync(file, { throwIfNoEntry: false });
      return { file, size: found?.size ?? 0, mtimeMs: found?.mtimeMs ?? 0 };
    })
    .toSorted((one, other) => other.mtimeMs - one.mtimeMs);
  let kept = 0;
  let removed = 0;
  for (const { file, size } of files) {
    kept += size;
    if (kept <= bytes) continue;
    rmSync(file, { force: true });
    removed += 1;
  }
  return removed;
}

function seedsOf(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.seed'))
    .map((name) => path.join(directory, name));
}

function placesOf(directory: string): string[] {
  try {
    return readdirSync(path.join(directory, PLACES)).filter((name) => !name.endsWith('.new'));
  } catch {
    return [];
  }
}

function readSeed(index: string): Listing['seeds'][number] | undefined {
  const piece = Buffer.alloc(MAX_HEADER_BYTES);
  try {
    const descriptor = openSync(index, 'r');
    try {
      readSync(descriptor, piece, 0, piece.length, 0);
    } finally {
      closeSync(descriptor);
    }
    const { file, bytes, mtimeMs, inode } = seedHeader.parse(
      JSON.parse(piece.toString('utf8', 0, Math.max(0, piece.indexOf(0x0a)))),
    );
    const now = statSync(file, { throwIfNoEntry: false });
    const same = now?.size === bytes && now.mtimeMs === mtimeMs && now.ino === inode;
    return { file, pages: Math.floor(bytes / PAGE_BYTES), changed: !same };
  } catch {
    // Removed meanwhile, or not an index.
    return undefined;
  }
}
