import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Inventory, Plan } from '../../../src/planner/inventory.ts';
import { decideBy } from '../../../bench/cloudsim/own-policy.ts';
import { guestOf, madeWorld, steady } from './worlds.ts';

test('a policy sees what a controller would see, and its moves are carried out', () => {
  const seen: Inventory[] = [];
  const decide = decideBy((inventory): Plan => {
    seen.push(inventory);
    const move = {
      guest: 'guest0',
      from: '0',
      to: '1',
      reason: 'overload' as const,
      words: '',
      cost: { bytes: 0, seconds: 0, downtimeMs: 0 },
      alternatives: [],
    };
    return { moves: seen.length === 1 ? [move] : [], refusals: [], wake: [], emptied: [] };
  });
  const world = madeWorld(2, [{ mips: 1000, loads: steady(0.5), on: 0 }], { hostMemoryMb: 65_536 });
  world.look(300.1);
  world.start(decide(world));
  world.arrive(600);
  world.look(600.1);
  decide(world);
  assert.equal(guestOf(world, 0).host?.index, 1);
  assert.deepEqual(seen[0]?.guests[0]?.demand, [500]);
  assert.deepEqual(
    seen[0]?.hosts.map(({ on }) => on),
    [true, false],
  );
  assert.deepEqual(seen[1]?.guests[0]?.left, [{ host: '0', secondsAgo: 300 }]);
  assert.equal(seen[1]?.hosts[0]?.memoryBytes, 64 * 1024 ** 3);
});
