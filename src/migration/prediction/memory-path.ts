import type { ChosenStream } from '../../protocol/public/migration.ts';
import type { MemoryPath, PackedPath } from './parameters.ts';

/** The row of the table of costs that a stream has, or the wire. `knowsGuest`: caches of both hosts do. Pure. */
export function memoryPathOf(
  path: 'native' | 'wire',
  stream: ChosenStream,
  knowsGuest: boolean,
): MemoryPath {
  if (path === 'wire') return knowsGuest ? 'known' : 'cold';
  if (stream.compress === 'zstd') return levelOf(stream.compressLevel);
  if (stream.compress === 'xbzrle') return 'xbzrle';
  return stream.streams > 1 ? 'several' : 'plain';
}

/** Levels between those that were measured count as the next one. */
function levelOf(level = 1): PackedPath {
  if (level <= 1) return 'packed';
  return level <= 3 ? 'packed3' : 'packed9';
}
