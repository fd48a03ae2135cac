import assert from 'node:assert/strict';
import { test } from 'node:test';
import { draftsOf } from '../../../src/controller/policy/drafts.ts';
import type { Inventory } from '../../../src/planner/inventory.ts';
import { policySettings } from '../../../src/protocol/controller/policy.ts';
import { guest, host } from '../../planner/inventories.ts';

/** Host a is asked for 10 of its 8 cores, and b as well beside one guest more, which moves to d. */
const inventory: Inventory = {
  hosts: ['a', 'b', 'c', 'd'].map((name) => host(name)),
  guests: [
    ...['a', 'b'].flatMap((on) =>
      [1, 2, 3, 4, 5].map((each) => guest(`${on}${each}`, on, { demand: Array(30).fill(2) })),
    ),
    guest('gone', 'b', { moving: true, movingTo: 'd' }),
  ],
};
const moves = (kind: 'balance' | 'consolidate', fleet: Inventory, settings: object): number => {
  const policy = policySettings.parse({ mode: 'propose', ...settings });
  return draftsOf(kind, fleet, policy, () => true).drafts.flatMap((each) => each.moves).length;
};

test('active moves count against the moves and the bytes of the hour', () => {
  assert.equal(moves('balance', inventory, {}), 4);
  assert.equal(moves('balance', inventory, { movesPerHour: 3 }), 2);
  assert.equal(moves('balance', inventory, { movesPerHour: 1 }), 0);
  const { memoryBytes } = guest('any', 'a');
  assert.equal(moves('balance', inventory, { bytesPerHour: 3 * memoryBytes }), 2);
  const calm = {
    ...inventory,
    guests: ['a', 'b', 'c'].map((on) => guest(on, on)).concat(inventory.guests.slice(-1)),
  };
  assert.equal(moves('consolidate', calm, {}), 2);
  assert.equal(moves('consolidate', calm, { movesPerHour: 2 }), 1);
  assert.equal(moves('consolidate', calm, { movesPerHour: 1 }), 0);
});
