import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitRoutes, limitsChange } from '../../../src/protocol/controller/limits.ts';
import { contractRules } from '../contract-rules.ts';

contractRules('limits of a fleet', limitRoutes);

test('a change of limits names the change, and refuses an invalid limit', () => {
  assert.deepEqual(limitsChange.parse({ fleet: null }), { fleet: null, hosts: [], links: [] });
  for (const wrong of [{ fleet: -1 }, { fleets: 3 }, { hosts: [{ host: 'A' }] }])
    assert.equal(limitsChange.safeParse(wrong).success, false, JSON.stringify(wrong));
});
