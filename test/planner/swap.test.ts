import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fleet } from '../../src/planner/fleet.ts';
import type { Inventory, PlannerGuest } from '../../src/planner/inventory.ts';
import { bestSwap, type Swap } from '../../src/planner/swap.ts';
import { broken, guest, host, lively } from './inventories.ts';

const busy = (name: string, on: string, cores: number, more: Partial<PlannerGuest> = {}) =>
  guest(name, on, { demand: [cores, cores], ...more });

/** The best swap of the first host, by what is asked for less alone. */
function swapIn(inventory: Inventory, pairs = 1000): { swap: Swap | undefined; left: number } {
  const fleet = new Fleet(inventory, { newest: 1, swing: 0, swingWeight: 1, samples: 2 });
  const budget = { pairs };
  const swap = bestSwap(fleet.places[0]!, fleet.places, {
    room: { z: 0, share: 1 },
    budget,
    mayMove: ({ guest: { neverMove } }) => neverMove !== true,
    nowOf: ({ expected }) => expected.mean,
    nowAt: ({ mean }) => mean,
    worthOf: ({ saved }) => ({ gain: saved, cost: 0, net: saved - 1e-6 }),
  });
  return { swap, left: budget.pairs };
}

const full: Inventory = {
  hosts: [host('a'), host('b')],
  guests: [
    ...[3, 3.5, 2.5].map((cores, at) => busy(`a${at + 1}`, 'a', cores)),
    ...[3, 2, 2].map((cores, at) => busy(`b${at + 1}`, 'b', cores)),
  ],
};

test('the pair with the lowest remaining shortfall on both hosts together is chosen', () => {
  const { swap } = swapIn(full);
  assert.deepEqual([swap?.away.guest.name, swap?.back.guest.name], ['a1', 'b2']);
});

test('a guest that may not move, or may not arrive, is in no pair', () => {
  const but = (name: string, more: Partial<PlannerGuest>): Inventory => ({
    ...full,
    guests: full.guests.map((each) => (each.name === name ? { ...each, ...more } : each)),
  });
  assert.notEqual(swapIn(but('b2', { neverMove: true })).swap?.back.guest.name, 'b2');
  assert.notEqual(swapIn(but('b2', { pinnedTo: ['b'] })).swap?.back.guest.name, 'b2');
  assert.notEqual(swapIn(but('a1', { pinnedTo: ['a'] })).swap?.away.guest.name, 'a1');
});

test('a swap search examines at most its number of pairs, and has the best of those', () => {
  assert.deepEqual(swapIn(full, 0), { swap: undefined, left: 0 });
  assert.ok(swapIn(full, 2).left === 0 && swapIn(full).left === 991);
});

test('no constraint is broken by either move, whichever comes first', () => {
  let swaps = 0;
  fc.assert(
    fc.property(lively, (inventory) => {
      const { swap } = swapIn(inventory);
      if (swap === undefined) return;
      swaps += 1;
      const moves = [swap.away, swap.back].map(({ guest: { name }, from }) => {
        const to = from === swap.away.from ? swap.back.from : swap.away.from;
        return { guest: name, from: from.host.name, to: to.host.name };
      });
      const problems = broken(inventory, { moves: moves as never });
      assert.deepEqual(
        problems.filter((each) => !each.endsWith('silent host') && !each.endsWith('moves already')),
        [],
      );
    }),
    { numRuns: 500, seed: 25 },
  );
  assert.ok(swaps > 20, `${swaps} swaps were looked at`);
});
