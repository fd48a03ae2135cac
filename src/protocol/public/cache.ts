import { z } from 'zod';
import { bytes, guestName, shortText } from '../names.ts';
import { LIST_BYTES, route } from '../route.ts';
import { sharing } from '../wire.ts';

const file = z.string().min(1).max(4096);
const count = z.number().int().nonnegative();

export const cacheStatus = z.object({
  directory: file,
  bytes,
  mostBytes: bytes,
  scope: sharing,
  unusable: shortText.optional(),
  /** Guest pages, 4096 bytes each. */
  pages: count,
  /** Files indexed in place; `changed`: since the indexing, so they must be seeded again. */
  seeds: z.array(z.object({ file, pages: count, changed: z.boolean() })).max(10_000),
  /** Guests whose last memory here is indexed. */
  guests: z.array(guestName).max(100_000),
});
export type CacheStatus = z.infer<typeof cacheStatus>;

/** `guest` or `tenant`: the circle to seed, unless the scope is the whole host. */
export const seedRequest = z.object({
  file,
  guest: guestName.optional(),
  tenant: z.string().min(1).max(128).optional(),
});
export type SeedRequest = z.infer<typeof seedRequest>;

export const seeded = z.object({ file, pages: count });
export const pruned = z.object({ freedBytes: bytes, bytes });

export const cacheRoutes = {
  cache: route({
    method: 'GET',
    path: '/v1/cache',
    summary: 'What this host keeps of guests’ memory for the wire',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    response: cacheStatus,
    errors: ['GODWIT_CONFIG', 'GODWIT_CAPABILITY'],
  }),
  seedCache: route({
    method: 'POST',
    path: '/v1/cache/seed',
    summary: 'Index a file of this host, so that what it holds need not travel',
    access: 'local',
    body: seedRequest,
    response: seeded,
    errors: ['GODWIT_CONFIG', 'GODWIT_CAPABILITY', 'GODWIT_USAGE'],
  }),
  pruneCache: route({
    method: 'POST',
    path: '/v1/cache/prune',
    summary: 'Drop the oldest until at most so many bytes are kept',
    access: 'operator',
    body: z.object({ bytes }),
    response: pruned,
    errors: ['GODWIT_CONFIG', 'GODWIT_CAPABILITY'],
  }),
};
