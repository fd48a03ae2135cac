import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayThrottle, strategyOf } from '../../../src/migration/steering/strategies.ts';
import { STRATEGIES } from '../../../src/protocol/public/steering.ts';

test('without a strategy the mode is the strategy', () => {
  const of = (mode: 'precopy' | 'postcopy' | 'hybrid') => strategyOf({ mode, hybridRounds: 7 });
  assert.deepEqual(of('precopy').measures, []);
  assert.equal(of('precopy').giveUpRounds, undefined);
  assert.equal(of('postcopy').precopyRounds, 0);
  assert.equal(of('hybrid').precopyRounds, 7);
  assert.deepEqual(of('hybrid').measures, ['postcopy']);
});

test('a requested strategy counts, whatever the rounds of hybrid', () => {
  const asked = { mode: 'hybrid', hybridRounds: 1, steering: 'standard' } as const;
  assert.equal(strategyOf(asked), STRATEGIES.standard);
});

test('the hypervisor is prepared to throttle a guest only if the strategy may do so', () => {
  assert.equal(mayThrottle(STRATEGIES.gentle), false);
  assert.equal(mayThrottle(STRATEGIES.standard), false);
  assert.equal(mayThrottle(STRATEGIES['no-postcopy']), true);
});
