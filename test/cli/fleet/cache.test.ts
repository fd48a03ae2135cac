import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CacheStatus } from '../../../src/protocol/public/cache.ts';
import { endpoint, FakeContext, godwit, host } from '../fake.ts';

const status: CacheStatus = {
  directory: '/var/lib/godwit/cache/pages',
  bytes: 300 * 1024 * 1024,
  mostBytes: 1024 ** 3,
  scope: 'guest',
  pages: 76_000,
  seeds: [{ file: '/images/debian.raw', pages: 512, changed: true }],
  guests: ['web1'],
};

function agent(name: string, asked: unknown[] = []) {
  return endpoint(name, {
    hosts: async () => ({ hosts: [host(name, { self: true }), host('other')] }),
    cache: async () => status,
    seedCache: async ({ body }) => {
      asked.push([name, body]);
      return { file: body.file, pages: 7 };
    },
    pruneCache: async ({ body }) => {
      asked.push([name, body]);
      return { freedBytes: 1024 ** 2, bytes: body.bytes };
    },
  });
}

describe('godwit cache', () => {
  test('godwit cache shows the kept data, the seeded data and the changes since', async () => {
    const context = new FakeContext(agent('a'), agent('b'));
    assert.equal(await godwit(context, 'cache status'), 0);
    for (const words of [/^a\n/, /\nb\n/, /300 MiB of at most 1 GiB/, /changed since/, /web1/]) {
      assert.match(context.out.text, words);
    }
    const one = new FakeContext(agent('a'), agent('b'));
    assert.equal(await godwit(one, 'cache status --on b --json'), 0);
    assert.deepEqual(JSON.parse(one.out.text), { hosts: [{ host: 'b', ...status }] });
  });

  test('seeding happens at the named host, for the named guest', async () => {
    const asked: unknown[] = [];
    const context = new FakeContext(agent('a', asked), agent('b', asked));
    assert.equal(await godwit(context, 'cache seed /boot/vmlinuz --on b --guest web1'), 0);
    assert.deepEqual(asked, [['b', { file: '/boot/vmlinuz', guest: 'web1' }]]);
    assert.match(context.out.text, /b: 7 pages of \/boot\/vmlinuz/);
  });

  test('pruning keeps the requested size, and removes everything by default', async () => {
    const asked: unknown[] = [];
    const context = new FakeContext(agent('a', asked));
    assert.equal(await godwit(context, 'cache prune --to 256M'), 0);
    assert.equal(await godwit(context, 'cache prune'), 0);
    assert.deepEqual(asked, [
      ['a', { bytes: 256 * 1024 ** 2 }],
      ['a', { bytes: 0 }],
    ]);
  });

  test('godwit cache requires a host if there are several, and lists them', async () => {
    const context = new FakeContext(agent('a'), agent('b'));
    assert.equal(await godwit(context, 'cache prune'), 2);
    assert.match(context.err.text, /a, b.*\n.*--on/);
    const unknown = new FakeContext(agent('a'));
    assert.equal(await godwit(unknown, 'cache status --on c'), 3);
  });
});
