import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BALANCE, type Level } from '../../src/planner/balance-options.ts';
import { balance } from '../../src/planner/balance.ts';
import type { Inventory, PlannerGuest } from '../../src/planner/inventory.ts';
import { Random } from '../../sim/random.ts';
import {
  beyond,
  broken,
  GIB,
  grown,
  guest,
  host,
  inventories,
  lively,
  parted,
} from './inventories.ts';

const always = (cores: number): number[] => Array.from({ length: 30 }, () => cores);
const busy = (name: string, on: string, cores: number, more: Partial<PlannerGuest> = {}) =>
  guest(name, on, { demand: always(cores), ...more });

/** Host a, of 8 cores, is asked for 10; b is empty. */
const crowded: Inventory = {
  hosts: [host('a'), host('b')],
  guests: [1, 2, 3, 4, 5].map((each) => busy(`g${each}`, 'a', 2)),
};
/** Fleets in which some hosts are asked for more than they have, and guests have owners who say something. */
const loaded: fc.Arbitrary<Inventory> = fc
  .record({
    count: fc.integer({ min: 2, max: 5 }),
    guests: fc.array(
      fc.record(
        {
          at: fc.integer({ min: 0, max: 4 }),
          // Whole steps: doubles as they are drawn lie near 0, and nothing would be overloaded.
          demand: fc.array(
            fc.integer({ min: 0, max: 30 }).map((tenths) => tenths / 10),
            { minLength: 6, maxLength: 30 },
          ),
          neverMove: fc.boolean(),
          apart: fc.uniqueArray(fc.constantFrom('db', 'web'), { maxLength: 1 }),
        },
        { requiredKeys: ['at', 'demand'] },
      ),
      { minLength: 6, maxLength: 30 },
    ),
  })
  .map(({ count, guests }) => ({
    hosts: Array.from({ length: count }, (_, at) => host(`h${at}`)),
    guests: guests.map(({ at, ...more }, index) =>
      guest(`g${index}`, `h${Math.min(at, count - 1)}`, more),
    ),
  }));
const levels: readonly Level[] = [1, 2, 3, 4, 5];

test('guests leave an overloaded host, with the figures', () => {
  const { moves } = balance(crowded);
  assert.ok(moves.length >= 1);
  for (const { reason, words, to } of moves) {
    assert.equal(reason, 'contention');
    assert.equal(to, 'b');
    assert.match(words, /^a is asked for \d+ of 8, and for \d+ in the long run; g\d asks for 2/);
  }
});

test('no guest moves if each host can serve its load, however different the loads are', () => {
  const guests = [1, 2, 3].map((each) => busy(`g${each}`, 'a', 1));
  for (const level of levels.slice(0, 3)) {
    assert.deepEqual(balance({ ...crowded, guests }, { ...BALANCE, level }).moves, []);
  }
});

test('a higher level evens out hosts that differ by more than their variation, a lower one does not', () => {
  const guests = [1, 2, 3, 4, 5, 6].map((each) => busy(`g${each}`, 'a', 1));
  const plan = (level: Level) => balance({ ...crowded, guests }, { ...BALANCE, level }).moves;
  assert.deepEqual(plan(3), []);
  assert.deepEqual(
    plan(5).map(({ reason }) => reason),
    ['spread'],
  );
});

test('time that guests waited counts as demand', () => {
  const guests = [1, 2, 3, 4].map((each) => busy(`g${each}`, 'a', 1.9));
  assert.deepEqual(balance({ ...crowded, guests }).moves, []);
  const hosts = [host('a', { pressure: [0.4, 0.4, 0.4] }), host('b')];
  assert.ok(balance({ hosts, guests }).moves.length > 0);
  const stolen = guests.map((each) => ({ ...each, steal: [0.4, 0.4, 0.4] }));
  assert.ok(balance({ ...crowded, guests: stolen }).moves.length > 0);
  const nonsense = guests.map((each) => ({ ...each, steal: [Number.NaN, -1, 7] }));
  assert.deepEqual(balance({ ...crowded, guests: nonsense }).moves, []);
});

test('hosts are evened out by the demand for their processors, and not by memory', () => {
  const full = [1, 2, 3].map((each) => busy(`g${each}`, 'a', 0.5, { memoryBytes: 20 * GIB }));
  const idle = { hosts: [host('a'), host('b')], guests: full };
  for (const level of levels) {
    assert.deepEqual(balance(idle, { ...BALANCE, level }).moves, [], `level ${level}`);
  }
});

test('a guest that was moved by hand is not pinned: it moves again after its rest', () => {
  const moved = (secondsAgo: number): Inventory => {
    const left = [{ host: 'z', secondsAgo }];
    return { ...crowded, guests: crowded.guests.map((each) => ({ ...each, left })) };
  };
  assert.deepEqual(balance(moved(600)).moves, []);
  assert.equal(balance(moved(86_400)).moves.length, balance(crowded).moves.length);
});

test('a guest that has just moved stays, and its moves count against the budget of the hour', () => {
  const left = [{ host: 'z', secondsAgo: 600 }];
  const rested = crowded.guests.map((each) => ({ ...each, left }));
  assert.deepEqual(balance({ ...crowded, guests: rested }).moves, []);
  const one = crowded.guests.map((each, at) => (at === 0 ? { ...each, left } : each));
  const plan = balance({ ...crowded, guests: one }, { ...BALANCE, perHour: { moves: 1 } });
  assert.deepEqual(plan.moves, []);
  assert.ok(plan.refusals.some(({ constraint }) => constraint === 'budget'));
});

test('an overloaded host that no guest can leave is named', () => {
  const guests = crowded.guests.map((each) => ({ ...each, neverMove: true }));
  const { moves, refusals } = balance({ ...crowded, guests });
  assert.deepEqual(moves, []);
  assert.ok(refusals.some((each) => each.host === 'a' && each.constraint === 'never-move'));
  const alone = { ...crowded, hosts: crowded.hosts.slice(0, 1) };
  assert.deepEqual(
    balance(alone).refusals.map((each) => each.constraint),
    ['last-host'],
  );
});

/** Both hosts have 8 cores; a is asked for 9 by three guests of 3, b for 6 by two: no guest of 3 fits, and small ones are there. */
const tight: Inventory = {
  hosts: [host('a'), host('b')],
  guests: [
    ...[1, 2, 3].map((each) => busy(`big${each}`, 'a', 3)),
    ...[1, 2].map((each) => busy(`mid${each}`, 'b', 1.7)),
    busy('small', 'b', 1.5),
  ],
};

test('two guests swap places if no host has room, and both moves report it', () => {
  const { moves } = balance(tight);
  const [away, back, ...more] = moves;
  assert.deepEqual(more, []);
  assert.deepEqual([away?.from, away?.to, away?.swapsWith], ['a', 'b', back?.guest]);
  assert.deepEqual([back?.from, back?.to, back?.swapsWith], ['b', 'a', away?.guest]);
  assert.ok((away?.worth?.gain ?? 0) > (away?.worth?.cost ?? Infinity));
  assert.match(away?.words ?? '', /^a is asked for 9 of 8, and no host has room; big\d asks for 3/);
  assert.deepEqual(balance(tight, { ...BALANCE, swapPairs: 0 }).moves, []);
  assert.deepEqual(balance(tight, { ...BALANCE, budget: { moves: 1 } }).moves, []);
});

test('a swap needs memory for both guests on both hosts, so that either may move first', () => {
  const memoryBytes = tight.guests[0]!.memoryBytes;
  const full = [host('a', { memoryBytes: 3.5 * memoryBytes }), host('b')];
  assert.deepEqual(balance({ ...tight, hosts: full }).moves, []);
  const enough = [host('a', { memoryBytes: 4 * memoryBytes }), host('b')];
  assert.equal(balance({ ...tight, hosts: enough }).moves.length, 2);
});

test('an empty fleet and a single host give no moves', () => {
  for (const level of levels) {
    assert.deepEqual(balance({ hosts: [], guests: [] }, { ...BALANCE, level }).moves, []);
    const alone = { ...crowded, hosts: crowded.hosts.slice(0, 1) };
    assert.deepEqual(balance(alone, { ...BALANCE, level }).moves, []);
  }
});

test('no constraint is ever broken, at any level', () => {
  fc.assert(
    fc.property(fc.oneof(lively, loaded), fc.constantFrom(...levels), (inventory, level) => {
      const plan = balance(inventory, { ...BALANCE, level });
      assert.deepEqual(broken(inventory, plan), []);
      assert.deepEqual(parted(inventory, plan), []);
    }),
    { numRuns: 300 },
  );
});

test('a move is not made without the cause that it names', () => {
  let moved = 0;
  fc.assert(
    fc.property(fc.oneof(inventories, loaded), fc.constantFrom(...levels), (inventory, level) => {
      const options = { ...BALANCE, level };
      for (const move of balance(inventory, options).moves) {
        moved += 1;
        // The host that was asked for too much has a thousand times as much.
        const hosts = inventory.hosts.map((each) =>
          each.name === move.from ? { ...each, cpu: each.cpu * 1000 } : each,
        );
        const again = balance({ ...inventory, hosts }, options).moves;
        assert.ok(!again.some(({ guest: name }) => name === move.guest));
      }
    }),
    { numRuns: 400, seed: 20_261_123 },
  );
  assert.ok(moved > 50, `${moved} moves were looked at`);
});

test('the same input gives the same plan', () => {
  fc.assert(
    fc.property(loaded, (inventory) => {
      assert.deepEqual(balance(inventory), balance(inventory));
    }),
    { numRuns: 50 },
  );
});

test('stationary noise on equal hosts never moves a guest', () => {
  for (const level of levels) {
    const random = new Random(7);
    const demands = Array.from({ length: 80 }, () => always(0.5));
    let moves = 0;
    for (let look = 0; look < 288; look += 1) {
      for (const demand of demands) {
        demand.unshift(random.between(0.2, 0.8));
        demand.pop();
      }
      const plan = balance(
        {
          hosts: Array.from({ length: 10 }, (_, at) => host(`h${at}`)),
          guests: demands.map((demand, at) => guest(`g${at}`, `h${at % 10}`, { cpu: 1, demand })),
        },
        { ...BALANCE, level },
      );
      moves += plan.moves.length;
    }
    assert.equal(moves, 0, `level ${level}`);
  }
});

test('more capacity never causes more overload', () => {
  fc.assert(
    fc.property(lively, fc.constantFrom(1.1, 1.5, 2), (inventory, times) => {
      const more = grown(inventory, times);
      const after = beyond(inventory, balance(inventory));
      assert.ok(beyond(more, balance(more)) <= after + 1e-9);
    }),
    { numRuns: 300 },
  );
});
