import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleet } from '../../src/planner/fleet.ts';
import { PlaceOrder } from '../../src/planner/place-order.ts';
import { guest, host } from './inventories.ts';

test('hosts are sorted by their figure, equal ones in inventory order, and updated with their guests', () => {
  const fleet = new Fleet({
    hosts: ['a', 'b', 'c', 'd'].map((name) => host(name)),
    guests: [guest('one', 'a'), guest('two', 'a'), guest('three', 'c'), guest('four', 'd')],
  });
  const [a, b] = fleet.places;
  const order = new PlaceOrder(
    fleet.places,
    ({ seats }) => seats.length,
    ({ seats }) => seats.length > 0,
  );
  const names = (least: number): string[] =>
    [...order.from(least)].map(({ host: { name } }) => name);
  assert.deepEqual(names(0), ['c', 'd', 'a']);
  assert.deepEqual(names(2), ['a']);
  assert.equal(order.first()?.host.name, 'c');
  for (const seat of fleet.seats.slice(0, 2)) {
    fleet.move(seat, b!);
    order.changed(a!);
    order.changed(b!);
  }
  assert.deepEqual(names(0), ['c', 'd', 'b']);
  assert.equal(order.figure(b!), 2);
});
