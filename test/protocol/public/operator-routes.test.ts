import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentContract } from '../../../src/protocol/contract.ts';
import { operatorRoutes } from '../../../src/protocol/public/operator-routes.ts';

test('only an operator decides or clears, and only a host asks a host', () => {
  const { resolve, clearLeftovers, side, takeUp, resolution, leftovers } = operatorRoutes;
  assert.deepEqual([resolve.access, clearLeftovers.access], ['operator', 'operator']);
  assert.deepEqual([side.access, takeUp.access], ['agent', 'agent']);
  assert.deepEqual([resolution.access, leftovers.access], ['viewer', 'viewer']);
});

test('every one of them is a route of the agent', () => {
  for (const name of Object.keys(operatorRoutes)) assert.ok(name in agentContract, name);
});
