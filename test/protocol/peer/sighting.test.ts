import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_SEEN, sighting } from '../../../src/protocol/peer/sighting.ts';

test('a host reports the newest copies of a guest, and no unbounded list', () => {
  const seen = (copies: number) =>
    sighting.safeParse({ host: 'c', copies: Array(copies).fill({ state: 'running' }), moves: [] });
  assert.ok(seen(MAX_SEEN).success);
  assert.equal(seen(MAX_SEEN + 1).success, false);
});
