import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stepFacts } from '../../../../src/migration/direct/source/step-facts.ts';

test('the snapshot of a guest is journaled, and its absence is not', () => {
  const snapshot = { parts: [{ kind: 'disk', name: 'disk0', value: 'raw:/srv/g1.img' }] };
  assert.deepEqual(stepFacts.parse({ snapshot }), { snapshot });
  assert.deepEqual(stepFacts.parse({}), {});
});

test("the guest's end at its destination is a fact of the move", () => {
  assert.deepEqual(stepFacts.parse({ ended: 'shut-down' }), { ended: 'shut-down' });
});

test('a fact of a newer build is ignored', () => {
  assert.deepEqual(stepFacts.parse({ ports: ['tap0'], newer: 1 }), { ports: ['tap0'] });
});
