import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { NearCache } from '../../../src/wire/cache/contents.ts';
import { Places } from '../../../src/wire/cache/places.ts';
import { Scope } from '../../../src/wire/cache/scope.ts';
import { ENTRY_BYTES } from '../../../src/wire/cache/segment.ts';
import { Store } from '../../../src/wire/cache/store.ts';
import { Summary, writeSummary } from '../../../src/wire/cache/summary.ts';

const scope = new Scope(Buffer.alloc(32, 5), { with: 'host' }, 'other');

function page(number: number): Buffer {
  const bytes = Buffer.alloc(4096, 1);
  bytes.writeUInt32LE(number, 8);
  return bytes;
}

/** What the far side has is what these pages are named. */
async function near(context: TestContext, far: readonly Buffer[], mostBytes = 2 ** 20) {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'godwit-contents-'));
  const store = await Store.open({ directory, mostBytes, scope });
  context.after(() => {
    store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const summary = new Summary(writeSummary(far.map((each) => scope.nameOf(each))));
  return new NearCache(store, scope, summary, Places.empty(1024));
}

describe('the estimate of the far cache', () => {
  test('the estimate of the far cache contains the sent pages, as long as a cache of that size keeps them', async (context) => {
    const cache = await near(context, [], 128 * ENTRY_BYTES);
    for (let number = 0; number < 1000; number += 1) {
      const each = page(number);
      assert.equal(cache.farHas(scope.nameOf(each)), false);
      cache.left(each, scope.nameOf(each), true);
      assert.equal(cache.farHas(scope.nameOf(each)), true);
    }
    assert.equal(cache.farHas(scope.nameOf(page(0))), false);
  });

  test('the estimate of the far cache drops its reported pages once many of them were missing', async (context) => {
    const said = Array.from({ length: 400 }, (_, number) => page(number));
    const cache = await near(context, said);
    const last = scope.nameOf(page(399));
    for (const each of said.slice(0, 200)) cache.left(each, scope.nameOf(each), false);
    cache.missed(50);
    assert.ok(cache.farHas(last));
    cache.missed(20);
    assert.equal(cache.farHas(last), false);
    assert.ok(cache.farHas(scope.nameOf(page(199))));
  });

  test('the estimate of the far cache keeps its reported pages if few of many were missing', async (context) => {
    const said = Array.from({ length: 400 }, (_, number) => page(number));
    const cache = await near(context, said);
    for (const each of said) cache.left(each, scope.nameOf(each), false);
    cache.missed(100);
    assert.ok(cache.farHas(scope.nameOf(page(0))));
  });
});
