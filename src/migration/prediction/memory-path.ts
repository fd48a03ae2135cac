import type { ChosenStream } from '../../protocol/public/migration.ts';
import type { MemoryPath, PackedPath } from './parameters.ts';

/** Row of the cost table for a stream or the wire. `knowsGuest`: both hosts' caches know the guest. Pure. */
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

/** Levels between measured ones count as the next higher one. */
function levelOf(level = 1): PackedPath {
  if (level <= 1) return 'packed';
  return level <= 3 ? 'packed3' : 'packed9';
}
