import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bestFits, FitIndex, whyNot } from '../../src/planner/best-fit.ts';
import { Fleet } from '../../src/planner/fleet.ts';
import { guest, host, inventories } from './inventories.ts';

const steady = (load: number): number[] => Array.from({ length: 24 }, () => load);
const fleet = new Fleet({
  hosts: ['a', 'b', 'c', 'd', 'e'].map((name) => host(name, { silent: name === 'e' })),
  guests: [
    guest('web', 'a'),
    guest('low', 'b', { demand: steady(1) }),
    guest('high', 'c', { demand: steady(3) }),
    guest('full', 'd', { cpu: 8, demand: steady(7.9) }),
  ],
});
const [web] = fleet.seats;

test('the fullest host with room comes first, and one without room is excluded', () => {
  const names = bestFits(web!, fleet.places, { z: 1, share: 1 }).map((place) => place.host.name);
  assert.deepEqual(names, ['c', 'b']);
});

test('the main constraint on a guest is named', () => {
  const [, , , d, e] = fleet.places;
  assert.equal(whyNot(web!, [d!]), 'cpu');
  assert.equal(whyNot(web!, [e!]), 'silent');
  assert.equal(whyNot(web!, []), 'last-host');
});

test('the index gives the same hosts as a full search, before and after guests moved', () => {
  fc.assert(
    fc.property(inventories, fc.nat(), (inventory, pick) => {
      const fleet = new Fleet(inventory);
      const room = { z: 1.4, share: 1 };
      const index = new FitIndex(fleet.places, room);
      const same = (): void => {
        for (const seat of fleet.seats) {
          const all = bestFits(seat, fleet.places, room);
          assert.deepEqual(
            index.best(seat).map(({ host: { name } }) => name),
            all.map(({ host: { name } }) => name),
          );
        }
      };
      same();
      const seat = fleet.seats[pick % Math.max(1, fleet.seats.length)];
      const to = fleet.places[pick % fleet.places.length];
      if (seat === undefined || to === undefined) return;
      const from = seat.at;
      fleet.move(seat, to);
      index.changed(from);
      index.changed(to);
      same();
    }),
  );
});
