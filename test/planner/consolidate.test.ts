import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CONSOLIDATE, consolidate } from '../../src/planner/consolidate.ts';
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

const shown = (plan: ReturnType<typeof consolidate>): string[] =>
  plan.moves.map(({ guest: name, from, to, reason }) => `${name} ${from}>${to} ${reason}`);

test('a host that can be spared is emptied, the most expensive first', () => {
  const hosts = [host('a', { watts: [90, 120] }), host('b', { watts: [140, 200] })];
  const plan = consolidate({ hosts, guests: [guest('one', 'a'), guest('two', 'b')] });
  assert.deepEqual(shown(plan), ['two b>a empty-host']);
  assert.deepEqual(plan.emptied, ['b']);
});

test('the smallest guest that suffices leaves an overloaded host', () => {
  const steady = (load: number): number[] => Array.from({ length: 30 }, () => load);
  const plan = consolidate({
    hosts: [host('a'), host('b')],
    guests: [
      guest('big', 'a', { demand: steady(4) }),
      guest('mid', 'a', { demand: steady(2) }),
      guest('small', 'a', { demand: steady(0.2) }),
      guest('also', 'a', { demand: steady(3) }),
      guest('other', 'b', { demand: steady(3.5) }),
    ],
  });
  assert.deepEqual(shown(plan), ['mid a>b overload']);
});

test('a host is not emptied onto one whose guests need more at this time of earlier days', () => {
  const hosts = [host('a', { watts: [90, 120] }), host('b', { watts: [140, 200] })];
  const planned = (soon: number | undefined) =>
    consolidate({
      hosts,
      guests: [guest('one', 'a', soon === undefined ? {} : { cpu: 8, soon }), guest('two', 'b')],
    });
  assert.deepEqual(shown(planned(undefined)), ['two b>a empty-host']);
  assert.deepEqual(shown(planned(0.5)), ['two b>a empty-host']);
  assert.deepEqual(shown(planned(7)), []);
});

test('a host is relieved before its daily overload, and a host is woken for it', () => {
  const soon = { cpu: 8, soon: 6 };
  const plan = consolidate({
    hosts: [host('a'), host('b', { on: false })],
    guests: [guest('one', 'a', soon), guest('two', 'a', soon)],
  });
  assert.deepEqual(plan.wake, ['b']);
  assert.match(plan.moves[0]?.words ?? '', /in the hour to come, by earlier days/);
});

test('invalid data of earlier days counts for nothing', () => {
  for (const soon of [Number.NaN, -1, Infinity, 1e9]) {
    const plan = consolidate({
      hosts: [host('a'), host('b', { on: false })],
      guests: [guest('one', 'a', { soon }), guest('two', 'a', { soon })],
    });
    assert.deepEqual(plan.moves, []);
  }
});

test('a sleeping host is woken if no other has room, and a move reports its cost', () => {
  const busy = { cpu: 8, demand: [7, 7, 7, 7, 7, 7, 7, 7] };
  const plan = consolidate({
    hosts: [host('a'), host('b', { on: false })],
    guests: [guest('one', 'a', busy), guest('two', 'a', busy)],
  });
  assert.deepEqual(plan.wake, ['b']);
  assert.equal(plan.moves.length, 1);
  assert.ok((plan.moves[0]?.cost.seconds ?? 0) > 0);
});

test('a host that cannot be relieved is refused by name', () => {
  const busy = { cpu: 8, demand: [7, 7, 7, 7] };
  const plan = consolidate({
    hosts: [host('a')],
    guests: [guest('one', 'a', busy), guest('two', 'a', busy)],
  });
  assert.deepEqual(plan.moves, []);
  assert.deepEqual(plan.refusals[0]?.constraint, 'last-host');
});

test('a budget of zero gives no moves', () => {
  const inventory = {
    hosts: [host('a'), host('b')],
    guests: [guest('one', 'a'), guest('two', 'b')],
  };
  assert.deepEqual(consolidate(inventory, { ...CONSOLIDATE, budget: { moves: 0 } }).moves, []);
  assert.deepEqual(consolidate(inventory, { ...CONSOLIDATE, budget: { bytes: 1 } }).moves, []);
});

test('emptying a host keeps within the bytes of the budget, and reports that once', () => {
  const small = { memoryBytes: 2 * GIB };
  const inventory = {
    hosts: [host('a'), host('b')],
    guests: [guest('one', 'a'), guest('two', 'a'), guest('x', 'b', small), guest('y', 'b', small)],
  };
  const within = (gib: number) =>
    consolidate(inventory, { ...CONSOLIDATE, budget: { bytes: gib * GIB } });
  assert.deepEqual(shown(within(4)).length, 2);
  const refused = within(3);
  assert.deepEqual(refused.moves, []);
  assert.deepEqual(
    refused.refusals.map(({ constraint }) => constraint),
    ['budget'],
  );
});

test('no plan is over its budget, whatever the fleet', () => {
  const budgets = fc.record({ moves: fc.nat(6), bytes: fc.nat(48).map((gib) => gib * GIB) });
  fc.assert(
    fc.property(inventories, budgets, (inventory, budget) => {
      const { moves } = consolidate(inventory, { ...CONSOLIDATE, budget });
      const size = new Map(inventory.guests.map(({ name, memoryBytes }) => [name, memoryBytes]));
      const bytes = moves.reduce((sum, move) => sum + (size.get(move.guest) ?? 0), 0);
      assert.ok(moves.length <= budget.moves && bytes <= budget.bytes);
    }),
    { numRuns: 300 },
  );
});

test('a move reports whether the guest alone suffices', () => {
  const words = (loads: readonly number[]): string | undefined => {
    const guests = loads.map((load, index) =>
      guest(`g${index}`, 'a', { cpu: 8, demand: Array.from({ length: 30 }, () => load) }),
    );
    return consolidate({ hosts: [host('a'), host('b'), host('c')], guests }).moves[0]?.words;
  };
  assert.match(words([6, 3]) ?? '', /g1 is the smallest guest that suffices$/);
  assert.match(words([5, 5, 5, 5]) ?? '', /the largest guest that can move, and does not suffice/);
});

test('an empty fleet and a fleet of one host have no plan', () => {
  assert.deepEqual(consolidate({ hosts: [], guests: [] }).moves, []);
  assert.deepEqual(consolidate({ hosts: [host('a')], guests: [guest('one', 'a')] }).moves, []);
});

test('no constraint is ever broken, whatever the fleet, in whatever order the moves run', () => {
  let moved = 0;
  fc.assert(
    fc.property(fc.oneof(inventories, lively), (inventory) => {
      const plan = consolidate(inventory);
      moved += plan.moves.length;
      assert.deepEqual(broken(inventory, plan), []);
      assert.deepEqual(parted(inventory, plan), []);
    }),
    { numRuns: 500 },
  );
  assert.ok(moved > 50, `${moved} moves were looked at`);
});

test('a plan is valid after each of its steps, in whatever order they are taken', () => {
  fc.assert(
    fc.property(lively, fc.infiniteStream(fc.nat()), (inventory, draws) => {
      const { moves } = consolidate(inventory);
      const left = [...moves];
      let guests = inventory.guests;
      while (left.length > 0) {
        const [next] = left.splice(draws.next().value % left.length, 1);
        guests = guests.map((each) =>
          each.name === next?.guest ? { ...each, host: next.to } : each,
        );
        // What is left can begin from here, all of it at once.
        const now = { hosts: inventory.hosts, guests };
        const rest = { ...consolidate(inventory), moves: left };
        assert.deepEqual(broken(now, rest), []);
      }
    }),
    { numRuns: 200 },
  );
});

test('the same fleet gives the same plan', () => {
  fc.assert(
    fc.property(fc.oneof(inventories, lively), (inventory) => {
      assert.deepEqual(consolidate(inventory), consolidate(structuredClone(inventory)));
    }),
  );
});

test('a plan that was carried out is followed by none that moves a guest back', () => {
  fc.assert(
    fc.property(fc.oneof(inventories, lively), (inventory) => {
      const { moves } = consolidate(inventory);
      const to = new Map(moves.map((move) => [move.guest, move]));
      const guests = inventory.guests.map((each) => {
        const move = to.get(each.name);
        if (move === undefined) return each;
        return { ...each, host: move.to, left: [{ host: move.from, secondsAgo: 300 }] };
      });
      const hosts = inventory.hosts.map((each) => ({
        ...each,
        on: each.on || guests.some((other) => other.host === each.name),
      }));
      for (const move of consolidate({ hosts, guests }).moves) {
        assert.notEqual(move.to, to.get(move.guest)?.from);
      }
    }),
  );
});

test('a move is not made without the cause that it names', () => {
  const seen = { overload: 0, 'empty-host': 0 };
  fc.assert(
    fc.property(lively, (inventory) => {
      for (const { guest: name, from, reason } of consolidate(inventory).moves) {
        assert.ok(reason === 'overload' || reason === 'empty-host');
        seen[reason] += 1;
        // The host that had too much has a thousand times as much; the one that is not needed is to be kept.
        const hosts = inventory.hosts.map((each) => {
          if (each.name !== from) return each;
          return reason === 'overload'
            ? { ...each, cpu: each.cpu * 1000 }
            : { ...each, kept: true };
        });
        const again = consolidate({ ...inventory, hosts }).moves;
        const same = again.find((each) => each.guest === name && each.reason === reason);
        assert.equal(same, undefined, `${name} leaves ${from}: ${reason}`);
      }
    }),
    { numRuns: 800, seed: 20_261_124 },
  );
  assert.ok(seen.overload > 50 && seen['empty-host'] > 50, JSON.stringify(seen));
});

test('more capacity never causes more overload', () => {
  fc.assert(
    fc.property(lively, fc.constantFrom(1.1, 1.5, 2), (inventory, times) => {
      const more = grown(inventory, times);
      const after = beyond(inventory, consolidate(inventory));
      assert.ok(beyond(more, consolidate(more)) <= after + 1e-9);
    }),
    { numRuns: 300 },
  );
});
