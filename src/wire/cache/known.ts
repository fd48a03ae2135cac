import { existsSync } from 'node:fs';
import { makeHash64 } from '../codec/hash.ts';
import type { Hash64 } from '../codec/contents.ts';
import { agreedCircle, circleBy, type WireCache } from './circles.ts';
import { seedIndexes, survey } from './directory.ts';
import type { Scope } from './scope.ts';
import { Seed } from './seed.ts';
import { Segment } from './segment.ts';
import { MAX_SUMMARY_NAMES, Summary, writeSummary } from './summary.ts';

/**
 * Plan's knowledge of the destination's cache. The destination sends a part of its summary, and the source looks
 * up its pages. No page name leaves the source before the guest does, because the destination could test guesses
 * against it.
 */

/** Names of 256 MiB of pages; of a larger cache only a part is sent. */
const MAX_NAMES = 65_536;
/** A name's first byte decides whether it is sent. */
const MAX_PARTS = 256;

export interface KnownPart {
  readonly tag: string;
  /** One in this many names is sent; a power of two, selected by the first byte. */
  readonly parts: number;
  readonly summary: Buffer;
}

type Telling = Pick<WireCache, 'directory' | 'secret' | 'earlier' | 'sharing' | 'peer' | 'seeds'>;

/** Names for the peer, from the common circle; undefined if there is none. Writes nothing. */
export async function tellKnown(
  cache: Telling,
  tags: readonly string[],
  most = MAX_NAMES,
): Promise<KnownPart | undefined> {
  const circle = agreedCircle(cache, tags);
  if (circle === undefined) return undefined;
  const { scope } = circle;
  const files = openAll(cache, scope, await makeHash64(scope.checkSeed));
  try {
    const count = files.reduce((sum, file) => sum + file.count, 0);
    const parts = partsFor(Math.min(count, MAX_SUMMARY_NAMES), most);
    return { tag: scope.tag, parts, summary: writeSummary(told(files, parts), most) };
  } finally {
    for (const file of files) file.close();
  }
}

/** Smallest power of two that limits the names. */
function partsFor(count: number, most: number): number {
  const parts = 2 ** Math.ceil(Math.log2(Math.max(1, count / most)));
  return Math.min(MAX_PARTS, parts);
}

/**
 * Test whether the other host has a page; it returns undefined for a page outside the sent part. No test if this
 * host does not have the circle. Throws RangeError for an invalid summary.
 */
export function knownBy(
  cache: Pick<WireCache, 'secret' | 'earlier' | 'sharing' | 'peer'>,
  { tag, parts, summary }: KnownPart,
): ((page: Uint8Array) => boolean | undefined) | undefined {
  const circle = circleBy(cache, tag);
  if (circle === undefined) return undefined;
  const there = new Summary(summary);
  return (page) => {
    const name = circle.scope.nameOf(page);
    return isTold(name, parts) ? there.has(name) : undefined;
  };
}

function isTold(name: Uint8Array, parts: number): boolean {
  return ((name[0] ?? 0) & (parts - 1)) === 0;
}

function* told(files: readonly (Segment | Seed)[], parts: number): Generator<Uint8Array> {
  let left = MAX_SUMMARY_NAMES;
  for (const file of files) {
    for (let page = file.count - 1; page >= 0 && left > 0; page -= 1) {
      const name = file.nameAt(page);
      if (name === undefined) continue;
      left -= 1;
      if (isTold(name, parts)) yield name;
    }
  }
}

/** Order of the wire's summary: seeds first, then the newest. */
function openAll({ directory, seeds }: Telling, scope: Scope, hash64: Hash64): (Segment | Seed)[] {
  if (!existsSync(directory)) return [];
  const indexes = seeds ? seedIndexes(directory, scope.tag) : [];
  const segments = survey(directory, undefined).segments.toReversed();
  return [
    ...indexes.flatMap((index) => Seed.open(index, scope) ?? []),
    ...segments
      .filter(({ path }) => path.includes(`-${scope.peerTag}-`))
      .flatMap(({ path }) => segmentAt(path, hash64) ?? []),
  ];
}

function segmentAt(path: string, hash64: Hash64): Segment | undefined {
  try {
    return Segment.open(path, hash64);
  } catch {
    // Pruned meanwhile.
    return undefined;
  }
}
