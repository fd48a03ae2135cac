import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { drain } from '../../../src/planner/drain/drain.ts';
import { broken, GIB, guest, host, inventories, lively, parted } from '../inventories.ts';

const hosts = [host('a'), host('b'), host('c'), host('off', { on: false })];

test('every guest of a drained host gets a destination, spread over the links', () => {
  const guests = ['one', 'two', 'three', 'four'].map((name) => guest(name, 'a'));
  const plan = drain({ hosts, guests }, { hosts: ['a'] });
  assert.equal(plan.moves.length, 4);
  assert.deepEqual(new Set(plan.moves.map(({ to }) => to)), new Set(['b', 'c']));
  assert.deepEqual(plan.emptied, ['a']);
  assert.ok(plan.seconds > 0 && plan.parallel >= 1);
});

test('guests that cannot leave are named with the reason', () => {
  const plan = drain(
    {
      hosts,
      guests: [
        guest('fixed', 'a', { neverMove: true }),
        guest('huge', 'a', { memoryBytes: 65 * GIB }),
        guest('pinned', 'a', { pinnedTo: ['a'] }),
        guest('fine', 'a'),
      ],
    },
    { hosts: ['a'] },
  );
  assert.deepEqual(
    plan.moves.map((move) => move.guest),
    ['fine'],
  );
  const reasons = new Map(plan.refusals.map((each) => [each.guest, each.constraint]));
  assert.equal(reasons.get('fixed'), 'never-move');
  assert.equal(reasons.get('huge'), 'memory');
  assert.ok(['pinned', 'draining'].includes(reasons.get('pinned') ?? ''));
  assert.deepEqual(plan.emptied, []);
});

test('a group leaves together, and stays together if one of them stays', () => {
  const pair = (more: object): ReturnType<typeof guest>[] => [
    guest('one', 'a', { together: 'pair', ...more }),
    guest('two', 'a', { together: 'pair' }),
  ];
  const gone = drain({ hosts, guests: pair({}) }, { hosts: ['a'] });
  assert.equal(new Set(gone.moves.map(({ to }) => to)).size, 1);
  assert.equal(gone.moves.length, 2);
  const kept = drain({ hosts, guests: pair({ neverMove: true }) }, { hosts: ['a'] });
  assert.deepEqual(kept.moves, []);
  assert.deepEqual(
    kept.refusals.map(({ constraint }) => constraint),
    ['never-move', 'together'],
  );
});

test('guests that are late for the deadline are named', () => {
  const guests = ['one', 'two'].map((name) => guest(name, 'a', { memoryBytes: 6.25e9 }));
  const slow = hosts.slice(0, 2);
  const plan = drain({ hosts: slow, guests }, { hosts: ['a'], deadlineSeconds: 150, parallel: 1 });
  assert.equal(plan.seconds, 206);
  assert.equal(plan.late.length, 1);
});

test('the last host is not drained, and a missing host is named', () => {
  const alone = { hosts: hosts.slice(0, 1), guests: [guest('one', 'a')] };
  const plan = drain(alone, { hosts: ['a', 'z'] });
  assert.deepEqual(plan.moves, []);
  const said = plan.refusals.map(({ constraint, guest: name, host: where }) => [
    constraint,
    name,
    where,
  ]);
  assert.deepEqual(said, [
    ['unknown-host', undefined, 'z'],
    ['last-host', 'one', 'a'],
  ]);
});

test('a refusal names the allowed hosts if only those have no room', () => {
  const plan = drain({ hosts, guests: [guest('one', 'a')] }, { hosts: ['a'], to: ['a'] });
  assert.deepEqual(
    plan.refusals.map(({ constraint }) => constraint),
    ['no-target'],
  );
});

test('guests move only to the hosts that were named', () => {
  const guests = ['one', 'two'].map((name) => guest(name, 'a'));
  const plan = drain({ hosts, guests }, { hosts: ['a'], to: ['c'] });
  assert.deepEqual(
    plan.moves.map(({ to }) => to),
    ['c', 'c'],
  );
});

test('no constraint is ever broken, and each guest of a drained host moves or is refused', () => {
  fc.assert(
    fc.property(fc.oneof(inventories, lively), (inventory) => {
      const plan = drain(inventory, { hosts: ['h0'] });
      const all = inventory.hosts.map((each) =>
        each.name === 'h0' ? { ...each, draining: true } : each,
      );
      assert.deepEqual(broken({ ...inventory, hosts: all }, plan), []);
      assert.deepEqual(parted(inventory, plan), []);
      const said = new Set([...plan.moves, ...plan.refusals].map((each) => each.guest));
      for (const each of inventory.guests) {
        if (each.host === 'h0') assert.ok(said.has(each.name), each.name);
      }
    }),
    { numRuns: 300 },
  );
});
