import assert from 'node:assert/strict';
import { test } from 'node:test';
import { END_KINDS, endKind, withEnd } from '../../src/protocol/guest-end.ts';

test("a guest's end is read as it was written, and a newer build's unknown end as an order", () => {
  for (const kind of END_KINDS) assert.equal(endKind.parse(kind), kind);
  assert.equal(endKind.parse('melted'), 'ordered');
});

test('a guest that has not ended has no such member', () => {
  assert.deepEqual(withEnd({}), {});
  assert.deepEqual(withEnd({ ended: 'ordered' }), { ended: 'ordered' });
});
