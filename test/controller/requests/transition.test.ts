import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextRequestPhase, SITUATIONS } from '../../../src/controller/requests/transition.ts';
import { isRequestEnd, REQUEST_PHASES } from '../../../src/protocol/controller/fleet-request.ts';

test('a request is done only from a fulfilled situation, and an end stays', () => {
  for (const phase of REQUEST_PHASES) {
    for (const situation of SITUATIONS) {
      for (const cancel of [false, true]) {
        const next = nextRequestPhase(phase, situation, cancel);
        if (isRequestEnd(phase)) assert.equal(next, phase);
        else if (next === 'done') assert.deepEqual([situation, cancel], ['fulfilled', false]);
      }
    }
  }
});

test('a cancelled request ends once none of its moves is open, even if a host is silent', () => {
  assert.equal(nextRequestPhase('working', 'open', true), 'cancelling');
  assert.equal(nextRequestPhase('cancelling', 'open', true), 'cancelling');
  for (const situation of ['able', 'stuck', 'blind', 'fulfilled'] as const) {
    assert.equal(nextRequestPhase('cancelling', situation, true), 'cancelled');
  }
});
