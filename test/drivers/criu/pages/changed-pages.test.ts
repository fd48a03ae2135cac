import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChangedPages } from '../../../../src/drivers/criu/pages/changed-pages.ts';

const PAGE = 4096;
const FROM = 0x7f00_0000_0000;
const pages = (fills: readonly number[]): Buffer =>
  Buffer.concat(fills.map((fill) => Buffer.alloc(PAGE, fill)));
const fillsOf = (runs: readonly Buffer[]): number[][] =>
  runs.map((run) => Array.from({ length: run.length / PAGE }, (_, at) => run[at * PAGE] ?? -1));

test('every page is new when it is first seen, including pages of zeroes', () => {
  assert.deepEqual(fillsOf(new ChangedPages().of(pages([0, 1, 1]), FROM)), [[0, 1, 1]]);
});

test('later only changed pages are returned, together if they are adjacent', () => {
  const seen = new ChangedPages();
  seen.of(pages([1, 2, 3, 4, 5, 6]), FROM);
  assert.deepEqual(fillsOf(seen.of(pages([1, 7, 8, 4, 5, 9]), FROM)), [[7, 8], [9]]);
  assert.deepEqual(fillsOf(seen.of(pages([1, 7, 8, 4, 5, 9]), FROM)), []);
  assert.deepEqual(fillsOf(seen.of(pages([1, 2]), FROM)), [[2]], 'one that is as it was before');
});

test('a page is known by its address, not by its content', () => {
  const seen = new ChangedPages();
  seen.of(pages([1, 2]), FROM);
  assert.deepEqual(fillsOf(seen.of(pages([2, 1]), FROM + PAGE)), [[1]]);
  assert.deepEqual(fillsOf(seen.of(pages([1, 2]), 0)), [[1, 2]]);
});

test('the changed pages equal a comparison of all bytes, wherever the pages are', () => {
  const round = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2100 }),
      fc.array(round, { maxLength: 5 }),
      (first, rounds) => {
        const seen = new ChangedPages();
        const before = new Map<number, number>();
        for (const fills of rounds) {
          const changed = fills.filter((fill, index) => before.get(index) !== fill);
          assert.deepEqual(fillsOf(seen.of(pages(fills), first * PAGE)).flat(), changed);
          for (const [index, fill] of fills.entries()) before.set(index, fill);
        }
      },
    ),
    { numRuns: 100 },
  );
});
