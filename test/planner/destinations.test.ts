import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Destinations } from '../../src/planner/destinations.ts';
import type { DrainOptions } from '../../src/planner/drain/drain-options.ts';
import { Fleet } from '../../src/planner/fleet.ts';
import type { PlannerGuest, PlannerHost } from '../../src/planner/inventory.ts';
import { GIB, guest, host } from './inventories.ts';

const GBIT = 125e6;

function placed(
  hosts: PlannerHost[],
  guests: PlannerGuest[],
  options: Partial<DrainOptions> = {},
): Map<string, string> {
  const fleet = new Fleet({ hosts, guests });
  const targets = fleet.places.slice(1);
  const destinations = new Destinations(fleet, { hosts: ['a'], ...options }, targets);
  for (const seat of fleet.seats) destinations.place([seat], targets);
  destinations.even();
  return new Map(fleet.seats.map((seat) => [seat.guest.name, seat.at.host.name]));
}

const link = (gbit: number) => ({ linkBytesPerSecond: gbit * GBIT });

test('the host with a tenth of the link gets about a tenth of the bytes, however much memory it has', () => {
  const hosts = [
    host('a', { ...link(20), cpu: 64 }),
    host('fast', { ...link(10), cpu: 64 }),
    host('big', { ...link(1), cpu: 64, memoryBytes: 999 * GIB }),
  ];
  const guests = Array.from({ length: 11 }, (_, at) => guest(`g${at}`, 'a', { cpu: 1 }));
  const to = [...placed(hosts, guests).values()];
  assert.equal(to.filter((name) => name === 'big').length, 1);
});

test('a guest that writes gets the destination with the faster link', () => {
  const hosts = [host('a', link(10)), host('slow', link(1)), host('fast', link(10))];
  const busy = guest('busy', 'a', { dirtyBytesPerSecond: 100e6 });
  assert.equal(placed(hosts, [busy]).get('busy'), 'fast');
});

test('a trunk between sites counts', () => {
  const hosts = [
    host('a', { ...link(10), site: 'north' }),
    host('far', { ...link(10), site: 'south' }),
    host('near', { ...link(2), site: 'north' }),
  ];
  const trunks = [{ between: ['south', 'north'] as const, bytesPerSecond: GBIT / 2 }];
  assert.equal(
    placed(hosts, [guest('g', 'a', { mayChangeSite: true })], {
      trunks: trunks.map(({ between: [one, other], ...rest }) => ({
        ...rest,
        between: [one, other],
      })),
    }).get('g'),
    'near',
  );
});

test('a guest keeps the destination of the earlier plan', () => {
  const hosts = [host('a', link(10)), host('b', link(10)), host('c', link(10))];
  const before = [{ guest: 'g', to: 'c' }];
  assert.equal(placed(hosts, [guest('g', 'a')], { before }).get('g'), 'c');
});

test('a guest returns to the host that it came from only if it has no other place', () => {
  const left = [{ host: 'b', secondsAgo: 60 }];
  const hosts = [host('a'), host('b'), host('c')];
  assert.equal(placed(hosts, [guest('g', 'a', { left })]).get('g'), 'c');
  assert.equal(placed(hosts.slice(0, 2), [guest('g', 'a', { left })]).get('g'), 'b');
});

test('the least used destination is chosen among equal hosts', () => {
  const hosts = [
    host('a', link(10)),
    host('b', link(10)),
    host('c', link(10)),
    host('d', link(10)),
  ];
  const others = ['b', 'b', 'd'].map((to) => ({ from: 'x', to, bytes: GIB }));
  assert.equal(placed(hosts, [guest('g', 'a')], { others }).get('g'), 'c');
});
