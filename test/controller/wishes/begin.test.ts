import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leftOf } from '../../../src/controller/wishes/candidates.ts';
import { begin } from '../../../src/controller/wishes/begin.ts';
import type { Wish } from '../../../src/protocol/controller/wish.ts';
import { drainOf, guest, host, world } from './worlds.ts';

test('a move gives the longer notice of what its wish and the label of its guest ask for', () => {
  const noticeOf = (label: string, settings: Wish['ask']['settings']) => {
    const wish = drainOf('a', { settings });
    const labels = { g1: { 'godwit/notice': label } };
    const now = world({ hosts: [host('a'), host('b')], guests: [guest('g1', 'a')], labels });
    const standing = { wish, left: leftOf(wish, [], now), open: [], world: now };
    return begin(standing, { epoch: 1, ids: ['m-00000001'] }).moves[0]?.settings.noticeMs;
  };
  assert.equal(noticeOf('60s', {}), 60_000);
  assert.equal(noticeOf('60s', { noticeMs: 5000 }), 60_000);
  assert.equal(noticeOf('60s', { noticeMs: 90_000 }), 90_000);
});
