import { parseBytes, parseDuration, parseRate } from '../src/protocol/quantity.ts';
import type { HandSetting } from './by-hand.ts';
import type { BenchOptions } from './contract.ts';
import { REWRITES, type RewriteOf } from './wire-dirty.ts';

/** A shaped link, and what the guests on it do. */
export interface LinkSetting {
  readonly name: string;
  readonly linkBytesPerSecond: number;
  readonly delayMs: number;
  readonly dirtyBytesPerSecond: number;
  /** One of so many pages that are dirtied is written anew as a whole; of the others, one word. Absent: none. */
  readonly rewriteOf?: RewriteOf | undefined;
  readonly memoryBytes: number;
  /** Settings and scenes, where not all are tried. */
  readonly tries?: readonly string[];
  /** What a scene's bytes and time may be of QEMU's best. */
  readonly targets: Readonly<Record<string, { readonly bytes?: number; readonly time?: number }>>;
}

const MIB = 1024 ** 2;
const MEMORY_BYTES = 640 * MIB;

const THIN: LinkSetting = {
  name: '100 Mbit/s, 10 ms',
  linkBytesPerSecond: 12_500_000,
  delayMs: 10,
  dirtyBytesPerSecond: 2 * MIB,
  memoryBytes: MEMORY_BYTES,
  targets: {
    cold: { bytes: 0.9, time: 0.95 },
    seeded: { bytes: 0.45, time: 0.65 },
    second: { bytes: 0.4, time: 0.45 },
    return: { bytes: 0.02 },
    later: { bytes: 0.25, time: 0.25 },
  },
};

const PLACES: readonly LinkSetting[] = [
  THIN,
  {
    ...THIN,
    name: '100 Mbit/s, 10 ms, 20 MiB/s dirtied',
    dirtyBytesPerSecond: 20 * MIB,
    // As they are, pages are dirtied faster than such a link carries them: it would never end.
    tries: ['zstd 1', 'zstd 3', 'zstd 9', 'cold'],
    targets: { cold: { bytes: 0.75 } },
  },
  {
    name: '1 Gbit/s, 1 ms',
    linkBytesPerSecond: 125_000_000,
    delayMs: 1,
    dirtyBytesPerSecond: 20 * MIB,
    memoryBytes: MEMORY_BYTES,
    targets: {
      cold: { bytes: 0.98 },
      seeded: { bytes: 0.5 },
      second: { bytes: 0.39 },
      return: { bytes: 0.05 },
      later: { bytes: 0.3 },
      auto: { time: 1.05 },
    },
  },
];

const multifd = { 'multifd-channels': 4 };
const zstd = (level: number): HandSetting => ({
  name: `multifd 4, zstd ${level}`,
  capabilities: ['multifd'],
  parameters: { ...multifd, 'multifd-compression': 'zstd', 'multifd-zstd-level': level },
});
export const SETTINGS: readonly HandSetting[] = [
  { name: 'plain', capabilities: [], parameters: {} },
  {
    name: 'multifd 4',
    capabilities: ['multifd'],
    parameters: { ...multifd, 'multifd-compression': 'none' },
  },
  zstd(1),
  zstd(3),
  zstd(9),
  { name: 'xbzrle', capabilities: ['xbzrle'], parameters: {} },
];

/** Both places of the project's targets, or the one that was asked for. RangeError for a `--rewrite` that is none. */
export function placesOf(options: BenchOptions): readonly LinkSetting[] {
  const { rewrite } = options.words ?? {};
  const places = placesAt(options);
  if (rewrite === undefined) return places;
  const rewriteOf = REWRITES.find((each) => String(each) === rewrite);
  if (rewriteOf === undefined) {
    throw new RangeError(
      `--rewrite ${rewrite}: one of ${REWRITES.join(', ')}, of how many pages one is written anew`,
    );
  }
  return places.map((place) => {
    return { ...place, name: `${place.name}, 1 of ${rewrite} pages written anew`, rewriteOf };
  });
}

function placesAt({ words = {} }: BenchOptions): readonly LinkSetting[] {
  const memoryBytes = words.memory === undefined ? MEMORY_BYTES : parseBytes(words.memory);
  const known = PLACES.map((place) => ({ ...place, memoryBytes }));
  if (words.link === undefined) return known;
  const linkBytesPerSecond = parseRate(words.link);
  const dirty = words.dirty === undefined ? undefined : parseRate(words.dirty);
  const there = known.filter((place) => place.linkBytesPerSecond === linkBytesPerSecond);
  const like = there.find((place) => place.dirtyBytesPerSecond === dirty) ?? there[0];
  const place = like ?? { ...THIN, memoryBytes, linkBytesPerSecond, targets: {} };
  const delayMs = words.delay === undefined ? place.delayMs : parseDuration(words.delay);
  const dirtyBytesPerSecond = dirty ?? place.dirtyBytesPerSecond;
  const isThere = place.dirtyBytesPerSecond === dirtyBytesPerSecond && place.delayMs === delayMs;
  const name = isThere ? place.name : `${words.link}, ${delayMs} ms`;
  return [{ ...place, name, delayMs, dirtyBytesPerSecond }];
}
