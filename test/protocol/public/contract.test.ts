import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentContract, publicContract as publicRoutes } from '../../../src/protocol/contract.ts';

test('no public route is reserved for other hosts', () => {
  for (const [name, { access }] of Object.entries(publicRoutes)) {
    assert.notEqual(access, 'agent', name);
  }
});

test("a user needs the operator's role to decide or to clear, and the viewer's to look", () => {
  const { resolve, clearLeftovers, resolution, leftovers } = publicRoutes;
  assert.deepEqual([resolve.access, clearLeftovers.access], ['operator', 'operator']);
  assert.deepEqual([resolution.access, leftovers.access], ['viewer', 'viewer']);
});

test('every public route is a route of the agent', () => {
  for (const name of Object.keys(publicRoutes)) assert.ok(name in agentContract, name);
});
