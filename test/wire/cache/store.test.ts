import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  readFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { Scope } from '../../../src/wire/cache/scope.ts';
import { ENTRY_BYTES } from '../../../src/wire/cache/segment.ts';
import { Store } from '../../../src/wire/cache/store.ts';
import { pageOf } from '../codec/support.ts';

const secret = Buffer.alloc(32, 7);
const scope = new Scope(secret, { with: 'host' });
const never = new AbortController().signal;

function folder(context: TestContext): string {
  const made = mkdtempSync(path.join(os.tmpdir(), 'godwit-cache-'));
  context.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function sizeOf(directory: string): number {
  return readdirSync(directory).reduce(
    (sum, name) => sum + statSync(path.join(directory, name)).size,
    0,
  );
}

function open(directory: string, pages: number, of = scope): Promise<Store> {
  return Store.open({ directory, mostBytes: pages * ENTRY_BYTES, scope: of });
}

function put(store: Store, seed: number, of = scope): void {
  store.insert(of.nameOf(pageOf(seed)), pageOf(seed));
}

function look(store: Store, seed: number, of = scope): Buffer | undefined {
  return store.read(of.nameOf(pageOf(seed)));
}

describe('the store', () => {
  test('the store returns its contents, or nothing, and never exceeds its limit', async (context) => {
    const step = fc.oneof(
      { weight: 10, arbitrary: fc.record({ do: fc.constant('put' as const), seed: fc.nat(120) }) },
      { weight: 6, arbitrary: fc.record({ do: fc.constant('look' as const), seed: fc.nat(120) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const), seed: fc.nat(0) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('prune' as const), seed: fc.nat(20) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120 }), fc.nat(60), async (steps, pages) => {
        const directory = folder(context);
        let store = await open(directory, pages);
        for (const { do: what, seed } of steps) {
          if (what === 'put') put(store, seed + 1);
          if (what === 'look') {
            const found = look(store, seed + 1);
            assert.ok(found === undefined || found.equals(pageOf(seed + 1)));
          }
          if (what === 'prune') store.prune(seed * ENTRY_BYTES);
          if (what === 'reopen') {
            store.close();
            store = await open(directory, pages);
          }
          assert.ok(sizeOf(directory) <= pages * ENTRY_BYTES);
          assert.ok(store.status().bytes <= pages * ENTRY_BYTES);
        }
        store.close();
        assert.ok(sizeOf(directory) <= pages * ENTRY_BYTES);
        rmSync(directory, { recursive: true });
      }),
      { numRuns: 100 },
    );
  });

  test('the store survives a restart completely', async (context) => {
    const directory = folder(context);
    const first = await open(directory, 1000);
    for (let seed = 1; seed <= 200; seed += 1) put(first, seed);
    first.close();
    const second = await open(directory, 1000);
    for (let seed = 1; seed <= 200; seed += 1) assert.ok(look(second, seed)?.equals(pageOf(seed)));
    assert.equal(second.status().pages, 200);
    second.close();
  });

  test('the store has no wrong contents, wherever its writer was killed', async (context) => {
    const cuts = fc.record({
      file: fc.nat(1000),
      to: fc.nat(200_000),
      add: fc.option(fc.uint8Array({ minLength: 1, maxLength: 200 })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(cuts, { minLength: 1, maxLength: 3 }), async (all) => {
        const directory = folder(context);
        const store = await open(directory, 640);
        for (let seed = 1; seed <= 40; seed += 1) put(store, seed);
        store.close();
        const files = readdirSync(directory);
        for (const { file, to, add } of all) {
          const whole = path.join(directory, files[file % files.length]!);
          truncateSync(whole, to % (statSync(whole).size + 1));
          if (add !== null) appendFileSync(whole, add);
        }
        const again = await open(directory, 640);
        for (let seed = 1; seed <= 40; seed += 1) {
          const found = look(again, seed);
          assert.ok(found === undefined || found.equals(pageOf(seed)), `page ${seed}`);
        }
        for (let seed = 41; seed <= 60; seed += 1) put(again, seed);
        for (let seed = 41; seed <= 60; seed += 1) assert.ok(look(again, seed));
        again.close();
        rmSync(directory, { recursive: true });
      }),
      { numRuns: 150 },
    );
  });

  test('the store drops a page whose bytes have changed on disk', async (context) => {
    const directory = folder(context);
    const first = await open(directory, 100);
    put(first, 1);
    first.close();
    const pages = path.join(
      directory,
      readdirSync(directory).find((name) => name.endsWith('.pages'))!,
    );
    writeFileSync(pages, pageOf(2));
    const second = await open(directory, 100);
    assert.equal(look(second, 1), undefined);
    assert.equal(second.status().spoiled, 1);
    second.close();
  });

  test("the store separates circles: a tenant never finds another tenant's page", async (context) => {
    const directory = folder(context);
    const one = new Scope(secret, { with: 'tenant', tenant: 'one' });
    const two = new Scope(secret, { with: 'tenant', tenant: 'two' });
    const guest = new Scope(secret, { with: 'guest', guest: 'one' });
    const mine = await open(directory, 100, one);
    put(mine, 1, one);
    mine.close();
    for (const other of [two, guest, scope]) {
      assert.notEqual(other.tag, one.tag);
      assert.ok(!other.nameOf(pageOf(1)).equals(one.nameOf(pageOf(1))));
      const theirs = await open(directory, 100, other);
      assert.equal(look(theirs, 1, other), undefined);
      assert.equal(look(theirs, 1, one), undefined);
      assert.equal(theirs.status().pages, 0);
      theirs.close();
    }
    assert.equal(new Scope(secret, { with: 'tenant', tenant: 'one' }).tag, one.tag);
  });

  test('the store bounds all circles together', async (context) => {
    const directory = folder(context);
    for (const tenant of ['one', 'two', 'three']) {
      const of = new Scope(secret, { with: 'tenant', tenant });
      const store = await open(directory, 64, of);
      for (let seed = 1; seed <= 50; seed += 1) put(store, seed, of);
      store.close();
      assert.ok(sizeOf(directory) <= 64 * ENTRY_BYTES);
    }
  });

  test('the store keeps requested pages longer than other ones', async (context) => {
    const store = await open(folder(context), 256);
    // One in ten: of a segment at most half outlives it.
    const often = Array.from({ length: 20 }, (_, at) => at * 10 + 1);
    for (let seed = 1; seed <= 1000; seed += 1) {
      put(store, seed);
      for (const each of often) look(store, each);
    }
    for (const each of often) assert.ok(look(store, each), `page ${each}`);
    assert.equal(look(store, 22), undefined);
    store.close();
  });

  test('the store accepts no more pages if the disk refuses, and reports why', async (context) => {
    const directory = folder(context);
    const store = await open(directory, 100);
    rmSync(directory, { recursive: true });
    put(store, 1);
    assert.match(store.status().failure ?? '', /ENOENT/);
    assert.equal(look(store, 1), undefined);
    store.close();
  });
});

describe('a seeded file', () => {
  test('a seeded file is found page by page, without zeros, even after a restart', async (context) => {
    const directory = folder(context);
    const image = path.join(folder(context), 'image');
    writeFileSync(image, Buffer.concat([pageOf(1), pageOf(0), pageOf(2), Buffer.from('tail')]));
    const store = await open(directory, 100);
    assert.equal(await store.seed(image, never), 2);
    assert.ok(look(store, 2)?.equals(pageOf(2)));
    assert.equal(look(store, 0), undefined);
    store.close();
    const again = await open(directory, 100);
    assert.ok(look(again, 1)?.equals(pageOf(1)));
    assert.deepEqual(again.status().seeds, [{ file: image, pages: 3 }]);
    assert.ok(sizeOf(directory) < 1000, 'nothing of the image was copied');
    again.close();
  });

  test('a seeded file that has changed never counts as unchanged', async (context) => {
    const directory = folder(context);
    const image = path.join(folder(context), 'image');
    writeFileSync(image, Buffer.concat([pageOf(1), pageOf(2)]));
    const store = await open(directory, 100);
    await store.seed(image, never);
    const changed = readFileSync(image);
    changed[10] = 1;
    writeFileSync(image, changed);
    assert.equal(look(store, 1), undefined);
    assert.ok(look(store, 2)?.equals(pageOf(2)));
    store.close();
    const again = await open(directory, 100);
    assert.equal(look(again, 2), undefined, 'another file than was indexed');
    assert.equal(await again.seed(image, never), 2);
    assert.ok(look(again, 2));
    again.close();
  });

  test('a seeded file whose index was cut anywhere gives no wrong contents', async (context) => {
    const image = path.join(folder(context), 'image');
    writeFileSync(image, Buffer.concat(Array.from({ length: 20 }, (_, at) => pageOf(at + 1))));
    const directory = folder(context);
    const store = await open(directory, 100);
    await store.seed(image, never);
    store.close();
    const index = path.join(
      directory,
      readdirSync(directory).find((name) => name.endsWith('.seed'))!,
    );
    for (let size = statSync(index).size; size >= 0; size -= 7) {
      truncateSync(index, size);
      const again = await open(directory, 100);
      for (let seed = 1; seed <= 20; seed += 1) {
        const found = look(again, seed);
        assert.ok(found === undefined || found.equals(pageOf(seed)));
      }
      again.close();
    }
  });

  test('a seeded file whose indexing is aborted leaves no index', async (context) => {
    const directory = folder(context);
    const image = path.join(folder(context), 'image');
    writeFileSync(image, pageOf(1));
    const store = await open(directory, 100);
    await assert.rejects(store.seed(image, AbortSignal.abort()));
    assert.deepEqual(readdirSync(directory), []);
    store.close();
  });

  test('a seeded file is forgotten by a prune to nothing', async (context) => {
    const directory = folder(context);
    const image = path.join(folder(context), 'image');
    writeFileSync(image, pageOf(1));
    const store = await open(directory, 100);
    await store.seed(image, never);
    put(store, 5);
    assert.ok(store.prune(0) > 0);
    assert.equal(look(store, 1), undefined);
    assert.equal(look(store, 5), undefined);
    assert.deepEqual(readdirSync(directory), []);
    store.close();
  });
});
