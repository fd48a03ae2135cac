import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  initialSource,
  phaseOf,
  sourceEvent,
  stepFacts,
} from '../../../../src/migration/direct/source/source-state.ts';
import { phase } from '../../../../src/protocol/public/migration.ts';
import { chance } from '../drive.ts';
import { anyEvent } from '../events.ts';
import { planned } from '../samples.ts';

test('a migration begins with its first step, the right held by the source', () => {
  const { state, effects } = initialSource(planned());
  assert.deepEqual(effects, [{ type: 'do', step: 'admit' }]);
  assert.equal(state.right, 'held');
  assert.equal(phaseOf(state), 'checking');
});

test('every source event survives the journal unchanged', () => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      assert.deepEqual(sourceEvent.parse(JSON.parse(JSON.stringify(event))), event);
    }),
  );
});

test('every state has a phase that can be shown', () => {
  fc.assert(
    fc.property(chance({ deaths: true, faults: true }), ({ world }) => {
      phase.parse(phaseOf(world.state));
    }),
  );
});

describe('facts found by steps', () => {
  test('the facts that steps find out are bounded', () => {
    const check = { name: 'cpu', side: 'both', verdict: 'pass', evidence: '' };
    assert.equal(stepFacts.safeParse({ checks: Array(256).fill(check) }).success, true);
    assert.equal(stepFacts.safeParse({ checks: Array(257).fill(check) }).success, false);
    assert.equal(stepFacts.safeParse({ ports: Array(65).fill('tap0') }).success, false);
    assert.equal(stepFacts.safeParse({ ports: ['a-name-too-long-for-linux'] }).success, false);
  });
});
