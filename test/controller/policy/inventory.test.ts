import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inventoryFor, type PolicyFacts } from '../../../src/controller/policy/inventory.ts';
import { roomBytes } from '../../../src/controller/requests/room.ts';
import type { Reservation } from '../../../src/controller/requests/facts.ts';
import { Fleet } from '../../../src/planner/fleet.ts';
import { guest, host, NOW, world } from '../requests/worlds.ts';
import { loadsOf, lookAt } from './samples.ts';

const known = (more: Partial<PolicyFacts>): PolicyFacts => ({
  kind: 'balance',
  world: world({ hosts: [host('a'), host('b')], guests: [guest('g1', 'a', { vcpus: 4 })] }),
  loads: loadsOf([lookAt(-1, { a: { g1: 3 }, b: {} })]),
  usual: new Map(),
  past: [],
  asked: new Map(),
  isOurs: () => true,
  mutedGuests: new Set(),
  mutedHosts: new Set(),
  ...more,
});

const reservation = (name: string, to: string): Reservation => ({
  move: `m-${name}`,
  request: 'r-00000001',
  guest: name,
  host: to,
  source: 'a',
  memoryBytes: guest(name, 'a').memoryBytes,
});

describe('the inventory of a policy', () => {
  test("the inventory has each guest's use, and subtracts other programs' use from the host's capacity", () => {
    const { hosts, guests } = inventoryFor(
      known({ loads: loadsOf([lookAt(-1, { a: { g1: 3 }, b: {} }, 2)]) }),
    );
    assert.deepEqual(
      hosts.map(({ cpu }) => cpu),
      [14, 14],
    );
    assert.deepEqual([guests[0]?.demand, guests[0]?.neverMove], [[3], undefined]);
  });

  test("a guest without a load report never moves, and gets the rest of its host's use", () => {
    const two = world({
      hosts: [host('a')],
      guests: [guest('g1', 'a', { vcpus: 4 }), guest('dark', 'a', { vcpus: 8 })],
    });
    const { hosts, guests } = inventoryFor(
      known({ world: two, loads: loadsOf([lookAt(-1, { a: { g1: 3 } }, 5)]) }),
    );
    assert.equal(hosts[0]?.cpu, 16);
    const dark = guests.find(({ name }) => name === 'dark');
    assert.deepEqual([dark?.demand, dark?.reckoned], [[5], true]);
  });

  test('a guest that is pinned by its owner or manager, requested, or moving is never moved', () => {
    const guests = [
      guest('kept', 'a'),
      guest('managed', 'a', { manager: 'libvirt' }),
      guest('stopped', 'a', { at: [{ host: 'a', state: 'stopped' }] }),
      guest('asked', 'a'),
      guest('going', 'a', { migration: 'm-00000001' }),
      guest('late', 'a'),
      guest('free', 'a'),
    ];
    const labels = {
      kept: { 'godwit/never-move': 'true' },
      // NOW is a Friday, 08:00 by UTC.
      late: { 'godwit/window': '22:00-23:00' },
    };
    const used = Object.fromEntries(guests.map(({ name }) => [name, 0.5]));
    const made = inventoryFor(
      known({
        world: world({ hosts: [host('a')], guests, labels }),
        loads: loadsOf([lookAt(-1, { a: used })]),
        asked: new Map([['asked', '']]),
      }),
    );
    const stays = made.guests.filter(
      ({ neverMove, moving }) => neverMove === true || moving === true,
    );
    assert.deepEqual(
      made.guests.filter((each) => !stays.includes(each)).map(({ name }) => name),
      ['free'],
    );
    assert.deepEqual(made.guests.find(({ name }) => name === 'stopped')?.demand, [0]);
  });

  test("a guest whose host's manager balances by itself is never moved, even if samples show its use", () => {
    const mode = (moves: 'manager' | 'asker') => ({ moves, words: 'DRS of C0', leaves: [] });
    const kept = (['manager', 'asker'] as const).map((moves) => {
      const hosts = ['a', 'b'].map((name) =>
        host(name, { realm: 'vc1', maintenanceMode: mode(moves) }),
      );
      const guests = [guest('g1', 'a', { vcpus: 4 })];
      return inventoryFor(known({ world: world({ hosts, guests }) })).guests[0]?.neverMove;
    });
    assert.deepEqual(kept, [true, undefined]);
  });

  test('hosts whose manager sets their power are not consolidated, and their guests are balanced', () => {
    const made = (['balance', 'consolidate'] as const).map((kind) =>
      (['manager', 'asker'] as const).map((sets) => {
        const powerMode = { sets, words: 'DPM of C0' };
        const hosts = ['a', 'b'].map((name) => host(name, { realm: 'vc1', powerMode }));
        const guests = [guest('g1', 'a', { vcpus: 4 })];
        const inventory = inventoryFor(known({ kind, world: world({ hosts, guests }) }));
        return [inventory.guests[0]?.neverMove, inventory.hosts[0]?.kept];
      }),
    );
    const free = [undefined, undefined];
    assert.deepEqual(made, [
      [free, free],
      [[true, true], free],
    ]);
  });

  test("a hypervisor's threads count as the guest's, and nonsense is left as it is", () => {
    const demands = [4.6, 40].map((cores) => {
      const loads = loadsOf([lookAt(-1, { a: { g1: cores }, b: {} })]);
      return inventoryFor(known({ loads })).guests[0]?.demand;
    });
    assert.deepEqual(demands, [[4], [40]]);
  });

  test('the inventory knows which hosts a guest has left, and how long ago', () => {
    const past = [{ guest: 'g1', from: 'b', endedAtMs: NOW - 60_000 }];
    const { guests } = inventoryFor(known({ past }));
    assert.deepEqual(guests[0]?.left, [{ host: 'b', secondsAgo: 60 }]);
  });

  test('the inventory counts a guest at the destination of its move or request, and keeps it from moving', () => {
    const guests = [
      guest('runs', 'a'),
      guest('comes', 'a', {
        at: [
          { host: 'a', state: 'running' },
          { host: 'b', state: 'incoming' },
        ],
      }),
      guest('waits', 'a'),
      guest('anywhere', 'a'),
      guest('to-closed', 'a'),
      guest('to-silent', 'a'),
      guest('arrived', 'b'),
    ];
    const hosts = [host('a'), host('b'), host('c'), host('d', { silentSinceMs: NOW })];
    const marks = new Map([['c', { host: 'c', maintenance: 'a fan' }]]);
    const made = inventoryFor(
      known({
        world: world({
          hosts,
          guests,
          marks,
          reservations: [reservation('runs', 'b'), reservation('arrived', 'b')],
        }),
        loads: loadsOf([
          lookAt(-1, { a: Object.fromEntries(guests.map((each) => [each.name, 1])) }),
        ]),
        asked: new Map([
          ['waits', 'b'],
          ['anywhere', ''],
          ['to-closed', 'c'],
          ['to-silent', 'd'],
        ]),
      }),
    );
    assert.deepEqual(
      made.guests.map((each) => [each.name, each.movingTo, each.moving ?? each.neverMove]),
      [
        ['runs', 'b', true],
        ['comes', 'b', true],
        ['waits', 'b', true],
        ['anywhere', undefined, true],
        ['to-closed', undefined, true],
        ['to-silent', undefined, true],
        ['arrived', undefined, true],
      ],
    );
  });

  test('the free memory of a host excludes all promised memory', () => {
    const incoming = guest('comes', 'a', {
      at: [
        { host: 'a', state: 'running' },
        { host: 'b', state: 'incoming' },
      ],
    });
    const guests = [incoming, guest('runs', 'a'), guest('waits', 'a'), guest('there', 'b')];
    const fleet = world({
      hosts: [host('a'), host('b')],
      guests,
      reservations: [reservation('comes', 'b'), reservation('runs', 'b')],
    });
    const { places } = new Fleet(
      inventoryFor(known({ world: fleet, asked: new Map([['waits', 'b']]) })),
    );
    const free = places.map(({ host: { memoryBytes }, heldBytes }) => memoryBytes - heldBytes);
    const [waits] = guests.filter(({ name }) => name === 'waits');
    assert.deepEqual(free, [
      roomBytes(fleet, 'a'),
      roomBytes(fleet, 'b') - (waits?.memoryBytes ?? 0),
    ]);
  });

  test('the inventory has only the hosts of the policy', () => {
    const { hosts, guests } = inventoryFor(known({ isOurs: (name) => name === 'b' }));
    assert.deepEqual([hosts.map(({ name }) => name), guests], [['b'], []]);
  });
});
