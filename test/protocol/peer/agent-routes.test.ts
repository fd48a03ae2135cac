import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentContract, publicContract as publicRoutes } from '../../../src/protocol/contract.ts';
import { peerRoutes } from '../../../src/protocol/peer/agent-routes.ts';

test('each route between agents admits its roles: hosts, controllers, users, or joining hosts', () => {
  const { join, renew, newerList, authorities, ...others } = peerRoutes;
  assert.equal(join.access, 'anyone');
  for (const { access } of [renew, authorities]) assert.equal(access, 'viewer');
  assert.equal(newerList.access, 'member');
  for (const [name, { access }] of Object.entries(others)) assert.equal(access, 'agent', name);
});

test('every route for other hosts is a route of the agent, and none is public', () => {
  for (const name of Object.keys(peerRoutes)) {
    assert.ok(name in agentContract, name);
    assert.equal(name in publicRoutes, false, name);
  }
});
