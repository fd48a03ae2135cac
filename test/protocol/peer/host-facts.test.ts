import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostFacts } from '../../../src/protocol/peer/host-facts.ts';

test('a host reports at least its name, its build and its clock, and omits unreadable facts', () => {
  const least = { name: 'b', version: '1.0.0', wallMs: 1 };
  assert.deepEqual(hostFacts.parse(least), least);
  assert.equal(hostFacts.safeParse({ ...least, wallMs: 'now' }).success, false);
  assert.equal(hostFacts.safeParse({ ...least, hooks: Array(33).fill('x') }).success, false);
});
