import xxhash from 'xxhash-wasm';
import type { Hash64 } from './contents.ts';

/** XXH64 with the session's seed; of what we measured the cheapest by far (bench/results/wire-codec.md). */
export async function makeHash64(seed: bigint): Promise<Hash64> {
  const api = await xxhash();
  return (bytes) => api.h64Raw(bytes, seed);
}
