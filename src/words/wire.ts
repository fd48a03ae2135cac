import type { Report } from '../protocol/public/migration.ts';
import { formatBytes, formatDuration } from '../protocol/quantity.ts';

/** Page encodings (src/wire/codec/records.ts) in words, by precedence. */
const WORDS: readonly (readonly [string, string])[] = [
  ['zero', 'zero'],
  ['same', 'unchanged'],
  ['repeat', 'sent before under another address'],
  ['base', 'as at the last visit'],
  ['cached', 'in the other host’s cache'],
  ['delta', 'as a difference'],
  ['deltaOfBase', 'as a difference to the last visit'],
  ['literal', 'in full'],
  ['code', 'in full, as machine code'],
];

const LEVELS_SHOWN = 12;

export function overTheWire({ wire }: Report): [string, string][] {
  if (wire === undefined) return [];
  const { linkBytes, streamBytes, cuts, longestCutMs } = wire;
  const share = streamBytes === 0 ? '' : ` (${Math.round((linkBytes * 100) / streamBytes)} %)`;
  const hidden =
    cuts === 0 ? '' : `, ${cuts} cuts hidden, the longest of ${formatDuration(longestCutMs)}`;
  return [['over the wire', `${formatBytes(linkBytes)}${share}${hidden}`]];
}

export function wirePairs({ wire }: Report): [string, string][] {
  if (wire === undefined) return [];
  const { told: encoded, misses, levels, processorMs, returnBytes, sessions } = wire;
  const pages = WORDS.filter(([kind]) => (encoded[kind] ?? 0) > 0).map(
    ([kind, words]): [string, string] => [`pages ${words}`, String(encoded[kind])],
  );
  const shown = levels.slice(0, LEVELS_SHOWN).map(({ atMs, to }): [string, string] => {
    return [`compression after ${formatDuration(atMs)}`, levelWords(to)];
  });
  return [
    ...pages,
    ...(misses === 0
      ? []
      : [['pages that the cache had lost', String(misses)] as [string, string]]),
    ...shown,
    ['answers of the other hypervisor', formatBytes(returnBytes)],
    ['processor time of the source’s mover', formatDuration(processorMs)],
    ['sessions', String(sessions)],
  ];
}

function levelWords({ level, windowLog }: { level: number; windowLog: number }): string {
  // The two reasons of `chooseLevel`.
  if (level === 0)
    return 'none: the link is faster than a processor compresses, or nothing shrinks';
  return windowLog === 0
    ? `zstd ${level}`
    : `zstd ${level}, looking back ${formatBytes(2 ** windowLog)}`;
}
