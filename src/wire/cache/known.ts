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
 * What a plan learns of the destination's cache. The destination tells a part of the summary that it would send to this
 * source if the migration began, and the source looks its own pages up in it. So no name of a page of the guest leaves the
 * source before the guest does: the destination could hold guesses against it.
 */

/** As many as 256 MiB have: of a larger cache a part is told. */
const MAX_NAMES = 65_536;
/** A name's first byte decides whether it is told. */
const MAX_PARTS = 256;

export interface KnownPart {
  /** Of the circle that both hosts know. */
  readonly tag: string;
  /** One in so many names is told, a power of two; by the first byte. */
  readonly parts: number;
  /** Of those names. */
  readonly summary: Buffer;
}

type Telling = Pick<WireCache, 'directory' | 'secret' | 'earlier' | 'sharing' | 'peer' | 'seeds'>;

/** What the peer may know, of the circle that both agree on; undefined where there is none. Writes nothing. */
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

/** A power of two, so that no more names than that are told. */
function partsFor(count: number, most: number): number {
  const parts = 2 ** Math.ceil(Math.log2(Math.max(1, count / most)));
  return Math.min(MAX_PARTS, parts);
}

/**
 * Whether the other host has a page, by what it told; undefined of a page that is not in the part that it told. Undefined
 * where it told of a circle that this host does not know. Throws RangeError for what is no summary.
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

/** Of the names that the wire's summary would have. */
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

/** In the order of the wire's summary: seeds, then what is newest. */
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
