import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextWishPhase, SITUATIONS } from '../../../src/controller/wishes/transition.ts';
import { isWishEnd, WISH_PHASES } from '../../../src/protocol/controller/wish.ts';

test('a wish is done only from a fulfilled situation, and an end stays', () => {
  for (const phase of WISH_PHASES) {
    for (const situation of SITUATIONS) {
      for (const cancel of [false, true]) {
        const next = nextWishPhase(phase, situation, cancel);
        if (isWishEnd(phase)) assert.equal(next, phase);
        else if (next === 'done') assert.deepEqual([situation, cancel], ['fulfilled', false]);
      }
    }
  }
});

test('a cancelled wish ends once none of its moves is open, even where a host is silent', () => {
  assert.equal(nextWishPhase('working', 'open', true), 'cancelling');
  assert.equal(nextWishPhase('cancelling', 'open', true), 'cancelling');
  for (const situation of ['able', 'stuck', 'blind', 'fulfilled'] as const) {
    assert.equal(nextWishPhase('cancelling', situation, true), 'cancelled');
  }
});
