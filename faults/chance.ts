/** Chance from a seed and a name: the same on every run. Pure. */

/** 0 <= chance < 1. */
export function chanceOf(seed: number, name: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (const char of name) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39) >>> 0;
  return ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
}

/** A sequence of chances. */
export function chances(seed: number, name: string): () => number {
  let count = 0;
  return () => chanceOf(seed, `${name}#${count++}`);
}
