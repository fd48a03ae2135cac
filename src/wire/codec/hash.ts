import xxhash from 'xxhash-wasm';
import type { Hash64 } from './contents.ts';

/** XXH64 with the session's seed, by far the cheapest of the measured hashes (bench/results/wire-codec.md). */
export async function makeHash64(seed: bigint): Promise<Hash64> {
  const api = await xxhash();
  return (bytes) => api.h64Raw(bytes, seed);
}
