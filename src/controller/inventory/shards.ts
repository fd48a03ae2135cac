/** Shards divide the hosts among controllers with few rows of leases. */
export const SHARDS = 64;

/** Stable in every controller and build (FNV-1a of the name). */
export function shardOf(host: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(host)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash % SHARDS;
}

export function fairShare(alive: number): number {
  return Math.ceil(SHARDS / Math.max(1, alive));
}
