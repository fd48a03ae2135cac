import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newestOnce } from '../../../src/protocol/public/newest-once.ts';
import { summary } from '../../cli/fake.ts';

const reported = fc.record({
  id: fc.constantFrom('m-aaaaaaaa', 'm-bbbbbbbb', 'm-cccccccc'),
  side: fc.constantFrom('source' as const, 'destination' as const),
  startedAt: fc.integer({ min: 0, max: 9 }).map((n) => `2026-01-0${n}T00:00:00.000Z`),
});

test('each migration appears once, newest first, as its source reports it if it does', () => {
  fc.assert(
    fc.property(fc.array(reported, { maxLength: 12 }), fc.nat(4), (all, limit) => {
      const found = newestOnce(
        all.map((each) => summary(each)),
        limit,
      );
      const ids = found.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
      assert.equal(found.length, Math.min(limit, new Set(all.map(({ id }) => id)).size));
      for (const [at, each] of found.entries()) {
        const before = found[at - 1];
        if (before !== undefined) assert.ok(before.startedAt >= each.startedAt);
        const sides = all.filter(({ id }) => id === each.id).map(({ side }) => side);
        assert.equal(each.side, sides.includes('source') ? 'source' : 'destination');
      }
    }),
  );
});
