import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  modeOf,
  STRATEGIES,
  STRATEGY_NAMES,
  steering,
  steeringStrategy,
  strategyNamed,
} from '../../../src/protocol/public/steering.ts';

test('a name selects the strategy of that name', () => {
  for (const name of STRATEGY_NAMES) {
    assert.equal(strategyNamed(steering.parse(name)).name, name);
    assert.deepEqual(steeringStrategy.parse(STRATEGIES[name]), STRATEGIES[name]);
  }
  assert.throws(() => steering.parse('reckless'));
  assert.throws(() => steering.parse({ name: 'own', postcopy: true }), /postcopy/);
});

test('a strategy needs the mode hybrid if it may switch to post-copy', () => {
  const modes = STRATEGY_NAMES.map((name) => modeOf(STRATEGIES[name]));
  assert.deepEqual(modes, ['precopy', 'hybrid', 'hybrid', 'precopy', 'hybrid']);
});
