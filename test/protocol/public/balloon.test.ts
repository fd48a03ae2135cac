import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ballooned } from '../../../src/protocol/public/balloon.ts';
import { migrationRequest } from '../../../src/protocol/public/migration.ts';

test('a migration excludes free pages, or also page cache, and nothing else', () => {
  const asked = (balloon: unknown) =>
    migrationRequest.safeParse({ guest: 'web1', to: 'b', balloon }).success;
  assert.deepEqual(['free', 'available', 'all', true].map(asked), [true, true, false, false]);
  assert.equal(ballooned.safeParse({ takenBytes: -1, leftBytes: 0 }).success, false);
});
