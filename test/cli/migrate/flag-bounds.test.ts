import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wrongValue } from '../../../src/cli/migrate/flag-bounds.ts';
import { migrationRequest } from '../../../src/protocol/public/migration.ts';

/** What is said against one field of a request that is accepted else. */
function words(given: Record<string, unknown>): string {
  const parsed = migrationRequest.safeParse({ guest: 'web1', to: 'b', ...given });
  const [issue] = parsed.error?.issues ?? [];
  assert.ok(issue !== undefined, 'it was taken');
  return wrongValue(migrationRequest, issue);
}

test('a number out of bounds is refused with both bounds, in the typed unit', () => {
  assert.equal(words({ maxDowntimeMs: 0 }), 'must be 1ms to 60s');
  assert.equal(words({ maxDowntimeMs: 7_200_000 }), 'must be 1ms to 60s');
  assert.equal(words({ timeoutMs: 1 }), 'must be 1s to 24h');
  assert.equal(words({ linkGraceMs: 1 }), 'must be 1s to 2m');
  assert.equal(words({ whenQuiet: { withinMs: 1 } }), 'must be 1s to 24h');
  assert.equal(words({ linkShare: 0 }), 'must be 0.01 to 1');
  assert.equal(words({ streams: 99 }), 'must be 1 to 16');
  assert.equal(words({ maxBandwidth: 1 }), 'must be at least 1KiB/s');
});

test('a list that is too long is refused with the allowed number', () => {
  const pathAddresses = Array.from({ length: 9 }, (_, index) => `10.0.0.${index}:7443`);
  assert.equal(words({ pathAddresses }), 'at most 8 may be given');
});

test('a value without bounds keeps the message of its schema', () => {
  assert.match(words({ onLost: 'cry' }), /"hold"\|"restart"/);
});
