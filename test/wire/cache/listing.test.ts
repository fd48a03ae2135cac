import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { listCache, pruneCache, trimPlaces } from '../../../src/wire/cache/listing.ts';
import { Scope } from '../../../src/wire/cache/scope.ts';
import { ENTRY_BYTES } from '../../../src/wire/cache/segment.ts';
import { Store } from '../../../src/wire/cache/store.ts';
import { pageOf } from '../codec/support.ts';

const secret = Buffer.alloc(32, 7);
const never = new AbortController().signal;

function folder(context: TestContext): string {
  const made = mkdtempSync(path.join(os.tmpdir(), 'godwit-cache-'));
  context.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Two circles' pages, a seed, and a guest's places. */
async function filled(context: TestContext): Promise<{ directory: string; image: string }> {
  const root = folder(context);
  const directory = path.join(root, 'pages');
  const image = path.join(root, 'image');
  writeFileSync(image, Buffer.concat([pageOf(500), pageOf(501)]));
  for (const guest of ['web1', 'web2']) {
    const scope = new Scope(secret, { with: 'guest', guest });
    const store = await Store.open({ directory, mostBytes: 640 * ENTRY_BYTES, scope });
    for (let seed = 0; seed < 20; seed += 1) store.insert(scope.nameOf(pageOf(seed)), pageOf(seed));
    if (guest === 'web1') await store.seed(image, never);
    store.close();
  }
  mkdirSync(path.join(directory, 'places'));
  writeFileSync(path.join(directory, 'places', 'web1'), '');
  return { directory, image };
}

describe('the listing of the cache', () => {
  test('the listing of a cache that never stored anything is empty', (context) => {
    const directory = path.join(folder(context), 'not-there');
    assert.deepEqual(listCache(directory), { bytes: 0, pages: 0, seeds: [], places: [] });
    assert.deepEqual(pruneCache(directory, 0), { freed: 0, left: 0 });
  });

  test('the listing shows the entries of all circles, the seeds and the known guests', async (context) => {
    const { directory, image } = await filled(context);
    const { pages, seeds, places, bytes } = listCache(directory);
    assert.equal(pages, 40);
    assert.ok(bytes > 40 * 4096);
    assert.deepEqual(seeds, [{ file: image, pages: 2, changed: false }]);
    assert.deepEqual(places, ['web1']);
    writeFileSync(image, pageOf(502));
    assert.equal(listCache(directory).seeds[0]?.changed, true);
  });

  test('the cache is pruned from the oldest entry on, down to the requested size', async (context) => {
    const { directory } = await filled(context);
    const before = listCache(directory).bytes;
    const wanted = Math.floor(before / 2);
    const { freed, left } = pruneCache(directory, wanted);
    assert.ok(left <= wanted && left > 0);
    assert.equal(freed + left, before);
    const { seeds, places } = listCache(directory);
    assert.deepEqual([seeds.length, places.length], [1, 1]);
  });

  test('the cache keeps nothing if it is pruned to nothing', async (context) => {
    const { directory } = await filled(context);
    assert.equal(pruneCache(directory, 0).left, 0);
    assert.deepEqual(listCache(directory), { bytes: 0, pages: 0, seeds: [], places: [] });
  });

  test('the cache drops the places of guests that were here longest ago', async (context) => {
    const { directory } = await filled(context);
    for (const [age, name] of ['old', 'older', 'oldest'].entries()) {
      const file = path.join(directory, 'places', name);
      writeFileSync(file, Buffer.alloc(1000));
      utimesSync(file, 1000 - age, 1000 - age);
    }
    assert.equal(trimPlaces(directory, 2000), 1);
    assert.deepEqual(listCache(directory).places.toSorted(), ['old', 'older', 'web1']);
    assert.equal(trimPlaces(path.join(directory, 'not-there'), 0), 0);
  });

  test('the listing ignores an invalid index', async (context) => {
    const { directory } = await filled(context);
    writeFileSync(path.join(directory, 'x-1.seed'), 'no header\n');
    assert.equal(listCache(directory).seeds.length, 1);
  });
});
