import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentContract } from '../../src/protocol/contract.ts';
import { helloRoutes } from '../../src/protocol/hello.ts';
import { peerContract } from '../../src/protocol/peer/contract.ts';

test('agents and movers greet alike, before either has shown a certificate', () => {
  assert.equal(helloRoutes.hello.access, 'anyone');
  assert.equal(agentContract.hello, helloRoutes.hello);
  assert.equal(peerContract.hello, helloRoutes.hello);
});
