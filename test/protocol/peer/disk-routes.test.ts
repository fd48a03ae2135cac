import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerContract } from '../../../src/protocol/peer/contract.ts';
import { diskRoutes } from '../../../src/protocol/peer/disk-routes.ts';

test("disk routes are routes of the destination's mover, for the other host only", () => {
  for (const [name, one] of Object.entries(diskRoutes)) {
    assert.equal(peerContract[name as keyof typeof diskRoutes], one);
    assert.equal(one.access, 'agent', name);
  }
});

test('a source may not request a session that outlasts every cut', () => {
  const { body } = diskRoutes.disks;
  assert.ok(body.safeParse({ epoch: 1, linkGraceMs: 60_000 }).success);
  for (const linkGraceMs of [0, 999, 120_001, 1e12]) {
    assert.equal(body.safeParse({ epoch: 1, linkGraceMs }).success, false, String(linkGraceMs));
  }
});
