import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BenchWords } from '../../bench/contract.ts';
import { placesOf } from '../../bench/wire-places.ts';

const places = (words: BenchWords) =>
  placesOf({ words, runs: undefined, signal: new AbortController().signal, say: () => undefined });

test('the wire’s guests write pages anew where it is asked for, and their measures say so', () => {
  assert.ok(places({}).every(({ rewriteOf }) => rewriteOf === undefined));
  const [place] = places({ link: '1gbit', rewrite: '4' });
  assert.equal(place?.rewriteOf, 4);
  assert.match(place?.name ?? '', /1 of 4 pages written anew/);
});

test('a share of pages that is no power of two is refused before anything is started', () => {
  for (const rewrite of ['3', '0', '128', '', 'four']) {
    assert.throws(() => places({ rewrite }), /--rewrite .*one of 1, 2, 4/);
  }
});
