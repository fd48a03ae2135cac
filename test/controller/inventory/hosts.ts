import type { NewHost } from '../../../src/controller/inventory/write-queue.ts';
import { shardOf } from '../../../src/controller/inventory/shards.ts';

export const HOST: NewHost = {
  name: 'a',
  address: 'a:1',
  shard: shardOf('a'),
  state: 'up',
  since: 1,
  reason: null,
  version: null,
  site: null,
  cores: null,
  memory_bytes: null,
  memory_available_bytes: null,
  guests: 0,
  info: null,
  managed: null,
  excess: null,
  excess_since: null,
};
