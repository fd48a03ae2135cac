import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_SETTINGS, reloaded, reloadRoutes } from '../../../src/protocol/public/reload.ts';

const answer = { file: '/etc/godwit/agent.json', taken: ['site'], restart: [], warnings: [] };

test('the result of a reload is bounded, and a viewer may not request one', () => {
  assert.deepEqual(reloaded.parse(answer), answer);
  const many = Array.from({ length: MAX_SETTINGS + 1 }, () => 'site');
  assert.equal(reloaded.safeParse({ ...answer, taken: many }).success, false);
  assert.equal(reloadRoutes.reload.access, 'operator');
});

test('a reload is done unless the request is for a dry run', () => {
  const { query } = reloadRoutes.reload;
  assert.deepEqual(query.parse({}), { dryRun: 'false' });
  assert.equal(query.safeParse({ dryRun: 'perhaps' }).success, false);
});
