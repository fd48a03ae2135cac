import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleet } from '../../src/planner/fleet.ts';
import { GIB, guest, host } from './inventories.ts';

const made = (): Fleet =>
  new Fleet({
    hosts: [host('a'), host('b')],
    guests: [
      guest('web', 'a', { apart: ['db'] }),
      guest('lost', 'gone'),
      guest('odd', 'b', { demand: [] }),
    ],
  });

test('a guest that leaves keeps its memory at its old host, and its place in its separation group', () => {
  const fleet = made();
  const [a, b] = fleet.places;
  const [web] = fleet.seats;
  fleet.move(web!, b!);
  assert.deepEqual([a!.heldBytes, b!.heldBytes], [4 * GIB, 8 * GIB]);
  assert.deepEqual([a!.apart.get('db'), b!.apart.get('db')], [1, 1]);
  assert.equal(a!.mean, 0);
  fleet.move(web!, a!);
  assert.deepEqual([a!.heldBytes, b!.heldBytes], [4 * GIB, 4 * GIB]);
});

test('a guest with invalid samples counts at its full size', () => {
  const [, b] = made().places;
  assert.equal(b!.mean, 4);
  assert.equal(made().seats[1]?.unknown, true);
});

test('a guest on a missing host is tracked separately', () => {
  assert.deepEqual(
    made().lost.map(({ name }) => name),
    ['lost'],
  );
});

test("a host's required capacity grows with an arriving guest and with caution", () => {
  const fleet = made();
  const [a, b] = fleet.places;
  const [web] = fleet.seats;
  assert.ok(b!.needWith(web!, 0) === 5 && b!.needWith(web!, 1) > 5);
  assert.ok(a!.need(1) > a!.need(0));
  assert.ok(a!.needWithout(web!, 2) < 1e-9);
});
