import type { NewHost } from './write-queue.ts';
import { shardOf } from './shards.ts';

/** A row that an earlier follower wrote: a host that was up then is not known to be so now. */
export function takenUp(known: NewHost, nowMs: number): NewHost {
  return known.state === 'up' ? { ...known, state: 'unfollowed', since: nowMs } : known;
}

/** A host of which nothing is known yet. */
export function newHost(name: string, address: string, since: number): NewHost {
  const unknown = { reason: null, version: null, cores: null, memory_bytes: null, info: null };
  const counts = { memory_available_bytes: null, guests: 0, site: null, managed: null };
  const excess = { excess: null, excess_since: null };
  return {
    name,
    address,
    shard: shardOf(name),
    state: 'new',
    since,
    ...unknown,
    ...counts,
    ...excess,
  };
}
