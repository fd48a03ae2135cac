import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fingerprint } from '../../../src/protocol/names.ts';
import { rotationRoutes } from '../../../src/protocol/public/rotation.ts';

const FIRST = 'A'.repeat(43);

test('a fingerprint of a CA is the 43 characters that a join token carries', () => {
  assert.equal(fingerprint.parse(FIRST), FIRST);
  for (const bad of ['', FIRST.slice(1), `${FIRST}A`, `${FIRST.slice(1)}=`])
    assert.equal(fingerprint.safeParse(bad).success, false);
});

test('a member of a rotation may have an unknown state, and no more CAs than a bundle', () => {
  const { response } = rotationRoutes.caRotation;
  const status = { stage: 'renewing', issuing: FIRST, authorities: [FIRST] };
  const unknown = { name: 'b', role: 'agent', problem: 'it does not answer' };
  assert.equal(response.parse({ ...status, members: [unknown] }).members[0]?.trusts, undefined);
  const many = { name: 'b', role: 'agent', trusts: Array.from({ length: 5 }, () => FIRST) };
  assert.equal(response.safeParse({ ...status, members: [many] }).success, false);
});
