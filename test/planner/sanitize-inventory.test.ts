import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { balance } from '../../src/planner/balance.ts';
import { consolidate } from '../../src/planner/consolidate.ts';
import type { Inventory } from '../../src/planner/inventory.ts';
import { sanitizeInventory } from '../../src/planner/sanitize-inventory.ts';
import { broken, guest, host, lively } from './inventories.ts';

const NONSENSE = [Number.NaN, -1, Infinity, -Infinity];

test('valid data is left unchanged', () => {
  fc.assert(
    fc.property(lively, (inventory) => {
      assert.deepEqual(sanitizeInventory(inventory), inventory);
    }),
  );
});

test('a host with an invalid size is silent, and a guest with one fills its host and is unknown', () => {
  for (const value of [...NONSENSE, 0]) {
    const { hosts } = sanitizeInventory({ hosts: [host('a', { cpu: value })], guests: [] });
    assert.equal(hosts[0]?.silent, true);
  }
  for (const value of NONSENSE) {
    const of = { hosts: [host('a')], guests: [guest('one', 'a', { memoryBytes: value })] };
    const [one] = sanitizeInventory(of).guests;
    assert.deepEqual([one?.memoryBytes, one?.demand], [host('a').memoryBytes, []]);
  }
});

test('a guest with an unknown number of processors is moved all the same', () => {
  const one = guest('one', 'a', { cpu: 0, demand: [0] });
  assert.deepEqual(sanitizeInventory({ hosts: [host('a')], guests: [one] }).guests, [one]);
});

test('a wrong clock makes no past move older than possible', () => {
  const left = [{ host: 'b', secondsAgo: -3600 }];
  const { guests } = sanitizeInventory({
    hosts: [host('a')],
    guests: [guest('one', 'a', { left })],
  });
  assert.deepEqual(guests[0]?.left, [{ host: 'b', secondsAgo: 0 }]);
});

const HOST_FIELDS = ['cpu', 'coreCpu', 'memoryBytes', 'linkBytesPerSecond'] as const;
const GUEST_FIELDS = ['cpu', 'memoryBytes', 'dirtyBytesPerSecond', 'usedBytes'] as const;

/** The inventory in which one host or guest reports `value` as one of its figures. */
function reporting(
  { hosts, guests }: Inventory,
  { field, at, value }: { field: string; at: number; value: number },
): Inventory {
  const [of, name] = field.split(' ');
  return {
    hosts: hosts.map((each, place) =>
      of === 'host' && place === at % hosts.length ? { ...each, [name ?? '']: value } : each,
    ),
    guests: guests.map((each, place) =>
      of === 'guest' && place === at % guests.length ? { ...each, [name ?? '']: value } : each,
    ),
  };
}

test('invalid reports of one host or guest change neither the rest of the plan nor its validity', () => {
  let moves = 0;
  const fields = [
    ...HOST_FIELDS.map((name) => `host ${name}`),
    ...GUEST_FIELDS.map((name) => `guest ${name}`),
  ];
  fc.assert(
    fc.property(lively, fc.constantFrom(...fields), fc.nat(30), (inventory, field, at) => {
      for (const policy of [balance, consolidate]) {
        const plans = NONSENSE.map((value) => {
          const plan = policy(reporting(inventory, { field, at, value }));
          assert.deepEqual(
            broken(sanitizeInventory(reporting(inventory, { field, at, value })), plan),
            [],
          );
          return plan;
        });
        const [first] = plans;
        for (const plan of plans) assert.deepEqual(plan, first);
        for (const { cost } of first?.moves ?? []) {
          assert.ok(Object.values(cost).every((each) => Number.isFinite(each) && each >= 0));
        }
        moves += first?.moves.length ?? 0;
      }
    }),
    { numRuns: 300 },
  );
  assert.ok(moves > 50, `${moves} moves were looked at`);
});
