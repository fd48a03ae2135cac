import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyRoutes } from '../../../src/protocol/controller/policies.ts';

test('viewers read policies and proposals and ask where a guest fits; operators decide', () => {
  for (const [name, { method, access }] of Object.entries(policyRoutes)) {
    const reads = method === 'GET' || name === 'place';
    assert.equal(access, reads ? 'viewer' : 'operator', name);
  }
});

test('a proposal is rejected with a reason', () => {
  assert.ok(!policyRoutes.rejectProposal.body.safeParse({ reason: '' }).success);
  assert.ok(policyRoutes.rejectProposal.body.safeParse({ reason: 'month’s end' }).success);
});
