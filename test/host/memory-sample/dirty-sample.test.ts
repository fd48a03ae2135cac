import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DIRTY_SAMPLE_PAGES, sampleDirty } from '../../../src/host/memory-sample/dirty-sample.ts';
import { PAGE_BYTES, type Pages } from '../../../src/host/memory-sample/pages.ts';
import { RATE_WINDOW_MS } from '../../../src/migration/prediction/curve.ts';

const { signal } = new AbortController();

/** Memory of which `written` says what is written within the window; a page is what `states` says of it, at either look. */
function memory(
  count: number,
  written: (page: number) => boolean,
  states: (page: number, isSecond: boolean) => ReturnType<Pages['state']> = () => 'here',
) {
  const world = { nowMs: 0, reads: 0, lateMs: 0 };
  const pages: Pages = {
    count,
    state: (page) => states(page, world.nowMs > 0),
    read: (page, into) => {
      assert.equal(states(page, world.nowMs > 0), 'here', 'a page was read that is not there');
      world.reads += 1;
      into.fill(page % 251);
      if (world.nowMs > 0 && written(page)) into[PAGE_BYTES - 1] = 255;
      return true;
    },
  };
  const time = {
    monotonicMs: () => world.nowMs,
    sleep: async (ms: number) => void (world.nowMs += ms + world.lateMs),
  };
  return { world, sample: () => sampleDirty(pages, time, signal) };
}

describe('a small page sample', () => {
  test('a small page sample gives the share of memory written in its window, by two reads of each page', async () => {
    const { world, sample } = memory(8192, (page) => page % 4 === 0);
    const { windowMs, dirtyBytes } = (await sample()) ?? assert.fail();
    assert.equal(windowMs, RATE_WINDOW_MS);
    const share = dirtyBytes / (8192 * PAGE_BYTES);
    assert.ok(share > 0.15 && share < 0.35, `${share}`);
    assert.equal(world.reads, 2 * DIRTY_SAMPLE_PAGES);
  });

  test('a small page sample reads no page that this would allocate or swap in, and counts new ones', async () => {
    const none = memory(
      64,
      () => true,
      () => 'away',
    );
    assert.equal(await none.sample(), undefined);
    const absent = memory(
      64,
      () => true,
      (page, isSecond) => (isSecond && page < 16 ? 'here' : 'absent'),
    );
    // Page 0 is as it was: zeros, but for its last byte, which was written.
    assert.equal((await absent.sample())?.dirtyBytes, 16 * PAGE_BYTES);
  });

  test('a small page sample gives nothing if most pages can be read only once, and else uses the others', async () => {
    const leaving = (left: number) =>
      memory(
        64,
        () => true,
        (page, isSecond) => (isSecond && page < left ? 'away' : 'here'),
      ).sample();
    assert.equal(await leaving(64), undefined);
    assert.equal(await leaving(33), undefined);
    assert.equal((await leaving(16))?.dirtyBytes, 64 * PAGE_BYTES);
  });

  test('a small page sample works for memory of any size, and never exceeds it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3000 }), fc.nat(10), async (count, every) => {
        const { sample } = memory(count, (page) => every > 0 && page % every === 0);
        const { dirtyBytes } = (await sample()) ?? assert.fail();
        assert.ok(dirtyBytes >= 0 && dirtyBytes <= count * PAGE_BYTES);
        if (every === 0) assert.equal(dirtyBytes, 0);
        if (every === 1) assert.equal(dirtyBytes, count * PAGE_BYTES);
      }),
    );
  });

  test('a small page sample reports its real window if the second read came late', async () => {
    const { world, sample } = memory(64, () => false);
    world.lateMs = 5000;
    assert.equal((await sample())?.windowMs, RATE_WINDOW_MS + 5000);
  });
});
