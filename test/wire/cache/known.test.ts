import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { circlesOf } from '../../../src/wire/cache/circles.ts';
import { knownBy, tellKnown } from '../../../src/wire/cache/known.ts';
import { Scope } from '../../../src/wire/cache/scope.ts';
import { Store } from '../../../src/wire/cache/store.ts';
import { Summary } from '../../../src/wire/cache/summary.ts';
import { pageOf } from '../codec/support.ts';

const secret = Buffer.alloc(32, 7);
const sharing = { with: 'guest', guest: 'web1' } as const;

/** The cache of host b as it is open towards a, and that of a towards b. */
function caches(t: TestContext) {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'godwit-known-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const there = { directory, secret, sharing, peer: 'a', seeds: true };
  const here = { ...there, peer: 'b' };
  return { directory, there, here, tags: circlesOf(here).map(({ scope }) => scope.tag) };
}

async function keep(directory: string, seeds: Iterable<number>, under = secret, peer = 'a') {
  const scope = new Scope(under, sharing, peer);
  const store = await Store.open({ directory, mostBytes: 2 ** 30, scope });
  for (const seed of seeds) store.insert(scope.nameOf(pageOf(seed)), pageOf(seed));
  store.close();
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, at) => from + at);

const lying = (directory: string): unknown[] =>
  readdirSync(directory)
    .toSorted()
    .map((name) => [name, statSync(path.join(directory, name)).mtimeMs]);

describe("the cache's answer", () => {
  test("the cache's answer has the pages exchanged with the asking host, no others, and writes nothing", async (t) => {
    const { directory, there, here, tags } = caches(t);
    await keep(directory, range(1, 200));
    await keep(directory, range(200, 300), secret, 'c');
    const before = lying(directory);
    const part = await tellKnown(there, tags);
    assert.deepEqual(lying(directory), before);
    assert.equal(part?.parts, 1);
    const isThere = knownBy(here, part);
    for (const seed of range(1, 400)) assert.equal(isThere?.(pageOf(seed)), seed < 200, `${seed}`);
  });

  test("the cache's answer includes a seed of the circle, unless this host excludes the guest from it", async (t) => {
    const { directory, there, here, tags } = caches(t);
    const image = path.join(directory, 'image');
    writeFileSync(image, Buffer.concat([pageOf(1), pageOf(2), pageOf(0)]));
    const scope = new Scope(secret, sharing);
    const store = await Store.open({ directory, mostBytes: 2 ** 30, scope });
    await store.seed(image, new AbortController().signal);
    store.close();
    for (const seeds of [true, false]) {
      const part = await tellKnown({ ...there, seeds }, tags);
      assert.ok(part !== undefined);
      assert.deepEqual(
        [1, 2, 3].map((seed) => knownBy(here, part)?.(pageOf(seed))),
        [seeds, seeds, false],
      );
    }
  });

  test("the cache's answer uses the secret of each entry, even if that was replaced recently", async (t) => {
    const { directory, there, here } = caches(t);
    await keep(directory, [1]);
    const newer = Buffer.alloc(32, 8);
    const [far, near] = [there, here].map((each) => ({
      ...each,
      secret: newer,
      earlier: [secret],
    }));
    assert.ok(far !== undefined && near !== undefined);
    const tags = circlesOf(near).map(({ scope }) => scope.tag);
    const part = await tellKnown(far, tags);
    assert.ok(part !== undefined && part.tag === tags[1]);
    assert.equal(knownBy(near, part)?.(pageOf(1)), true);
    // One that has never heard of that secret makes nothing of it.
    assert.equal(knownBy({ ...here, secret: newer }, part), undefined);
  });

  test("the cache's answer is empty if the hosts share no circle, or there is no cache yet", async (t) => {
    const { directory, there, here, tags } = caches(t);
    await keep(directory, [1]);
    const other = circlesOf({ ...here, sharing: { with: 'guest', guest: 'web2' } });
    assert.equal(
      await tellKnown(
        there,
        other.map(({ scope }) => scope.tag),
      ),
      undefined,
    );
    assert.equal(await tellKnown(there, []), undefined);
    const none = await tellKnown({ ...there, directory: path.join(directory, 'none') }, tags);
    assert.ok(none !== undefined && readdirSync(directory).every((name) => name !== 'none'));
    assert.equal(new Summary(none.summary).size, 0);
  });

  test("the cache's answer covers a part of a large cache, and nothing of the other pages", async (t) => {
    const { directory, there, here, tags } = caches(t);
    const all = range(1, 2001);
    await keep(directory, all);
    const part = await tellKnown(there, tags, 300);
    assert.ok(part !== undefined && part.parts >= 8 && part.summary.length < 300 * 2.4);
    const isThere = knownBy(here, part);
    const told = all.map((seed) => isThere?.(pageOf(seed)));
    assert.ok(!told.includes(false));
    const count = told.filter((each) => each === true).length;
    assert.ok(count > 100 && count <= 300, String(count));
    // However its names were made to look alike: no more than that.
    const one = await tellKnown(there, tags, 1);
    assert.ok(one !== undefined && one.parts === 256);
    assert.equal(new Summary(one.summary).size, 1);
  });

  test("the cache's answer is ignored if it is not a summary", (t) => {
    const { here, tags } = caches(t);
    const [tag = ''] = tags;
    const claimed = { tag, parts: 1, summary: Buffer.from([0, 255, 255, 255]) };
    assert.throws(() => knownBy(here, claimed), RangeError);
  });
});
