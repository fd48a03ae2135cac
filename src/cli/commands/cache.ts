import { spec, verb, type Flag, type Verb } from '../verb.ts';

const on = {
  kind: 'host',
  value: 'host',
  summary: 'the host whose cache it is (default: the one that is asked)',
} as const satisfies Flag;

export const cacheStatusSpec = spec({
  name: 'status',
  summary: 'show what hosts keep of guests’ memory, and which files they have indexed',
  flags: { on },
  examples: ['cache status', 'cache status --on b'],
  usesAgent: true,
  json: '{ hosts: [{ host, directory, bytes, mostBytes, scope, unusable?, pages, seeds: [{ file, pages, changed }], guests }] }',
});

export const cacheSeedSpec = spec({
  name: 'seed',
  summary: 'index a file of a host, so that what it holds need not travel there',
  details:
    'Base images, kernels and initramfs on the destination hold much of what a guest has in memory. The file is ' +
    'read once and stays where it is; after a change it must be seeded again. Only a user of that host may ask for it.',
  args: { file: { kind: 'file', summary: "the file's path on that host", required: true } },
  flags: {
    on,
    guest: {
      kind: 'guest',
      value: 'guest',
      summary: 'for this guest, where the cache is shared by guest',
    },
    tenant: {
      kind: 'text',
      value: 'tenant',
      summary: 'for this tenant, where the cache is shared by tenant',
    },
  },
  examples: [
    'cache seed /var/lib/images/debian-13.raw --guest web1',
    'cache seed /boot/vmlinuz --on b',
  ],
  usesAgent: true,
  json: '{ host, file, pages }',
});

export const cachePruneSpec = spec({
  name: 'prune',
  summary: 'drop the oldest of what a host keeps',
  flags: {
    on,
    to: { kind: 'bytes', summary: 'until at most so much is left; 0 drops all', preset: '0' },
  },
  examples: ['cache prune --to 256M', 'cache prune --on b'],
  usesAgent: true,
  json: '{ host, freedBytes, bytes }',
});

/** The verbs of `godwit cache`. */
export const CACHE_VERBS: readonly Verb[] = [
  verb(cacheStatusSpec, async () => ({ run: (await import('./cache-run.ts')).status })),
  verb(cacheSeedSpec, async () => ({ run: (await import('./cache-run.ts')).seed })),
  verb(cachePruneSpec, async () => ({ run: (await import('./cache-run.ts')).prune })),
];
