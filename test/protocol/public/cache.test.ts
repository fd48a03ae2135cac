import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheRoutes, cacheStatus, seedRequest } from '../../../src/protocol/public/cache.ts';

test('only a local user of the host names a path', () => {
  const naming = Object.values(cacheRoutes).filter(({ path }) => path.endsWith('/seed'));
  assert.deepEqual(
    naming.map(({ access }) => access),
    ['local'],
  );
});

test('a seed is for a file and one circle', () => {
  assert.ok(seedRequest.safeParse({ file: '/boot/vmlinuz', guest: 'web1' }).success);
  assert.equal(seedRequest.safeParse({ file: '' }).success, false);
  assert.equal(seedRequest.safeParse({ file: '/x', guest: '../web1' }).success, false);
});

test('a cache status reports whether the cache can be used', () => {
  const status = {
    directory: '/var/lib/godwit/cache/pages',
    bytes: 1,
    mostBytes: 2,
    scope: 'host',
    pages: 0,
    seeds: [],
    guests: [],
  };
  assert.deepEqual(cacheStatus.parse({ ...status, unusable: 'x' }).unusable, 'x');
  assert.equal(cacheStatus.safeParse({ ...status, bytes: -1 }).success, false);
});
