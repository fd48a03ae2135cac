/** Hosts are followed by shards, so that several controllers divide them by a few rows of leases. */
export const SHARDS = 64;

/** The shard of a host: alike in every controller, for good (FNV-1a of its name). */
export function shardOf(host: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(host)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash % SHARDS;
}

/** How many shards a controller is to have at most, where `alive` share them. */
export function fairShare(alive: number): number {
  return Math.ceil(SHARDS / Math.max(1, alive));
}
