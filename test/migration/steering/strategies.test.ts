import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayThrottle, strategyOf } from '../../../src/migration/steering/strategies.ts';
import { STRATEGIES } from '../../../src/protocol/public/steering.ts';

test('without a strategy the mode is one', () => {
  const of = (mode: 'precopy' | 'postcopy' | 'hybrid') => strategyOf({ mode, hybridRounds: 7 });
  assert.deepEqual(of('precopy').measures, []);
  assert.equal(of('precopy').giveUpRounds, undefined);
  assert.equal(of('postcopy').precopyRounds, 0);
  assert.equal(of('hybrid').precopyRounds, 7);
  assert.deepEqual(of('hybrid').measures, ['postcopy']);
});

test('a strategy that was asked for counts, whatever the rounds of hybrid', () => {
  const asked = { mode: 'hybrid', hybridRounds: 1, steering: 'standard' } as const;
  assert.equal(strategyOf(asked), STRATEGIES.standard);
});

test('the hypervisor is made ready to slow a guest down only where the strategy may', () => {
  assert.equal(mayThrottle(STRATEGIES.gentle), false);
  assert.equal(mayThrottle(STRATEGIES.standard), false);
  assert.equal(mayThrottle(STRATEGIES['no-postcopy']), true);
});
