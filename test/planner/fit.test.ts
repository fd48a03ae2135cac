import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bestFits, whyNot } from '../../src/planner/fit.ts';
import { Fleet } from '../../src/planner/fleet.ts';
import { guest, host } from './inventories.ts';

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

test('the fullest host with room comes first, and one without room not at all', () => {
  const names = bestFits(web!, fleet.places, { z: 1, share: 1 }).map((place) => place.host.name);
  assert.deepEqual(names, ['c', 'b']);
});

test('what keeps a guest from most hosts is named', () => {
  const [, , , d, e] = fleet.places;
  assert.equal(whyNot(web!, [d!]), 'cpu');
  assert.equal(whyNot(web!, [e!]), 'silent');
});
