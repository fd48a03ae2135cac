import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_REFUSALS, refusal, trust, trustRoutes } from '../../../src/protocol/public/trust.ts';

const one = { peer: 'c (agent)', code: 'GODWIT_NOT_A_MEMBER', count: 1, message: 'no', at: 'now' };
const reported = {
  host: 'a',
  certificate: { validTo: '2026-12-01T00:00:00.000Z', failures: 0 },
  refusals: [one],
};

test("a host's trust report may lack a list and a problem, and is bounded", () => {
  assert.deepEqual(trust.parse(reported), reported);
  const many = Array.from({ length: MAX_REFUSALS + 1 }, () => one);
  assert.equal(trust.safeParse({ ...reported, refusals: many }).success, false);
  assert.equal(refusal.safeParse({ ...one, message: 'x'.repeat(501) }).success, false);
  assert.equal(refusal.safeParse({ ...one, count: 0 }).success, false);
});

test('a viewer may request the trust report', () => {
  assert.equal(trustRoutes.trust.access, 'viewer');
});
