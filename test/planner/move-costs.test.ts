import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleet } from '../../src/planner/fleet.ts';
import type { PlannerGuest } from '../../src/planner/inventory.ts';
import { leftOf, movingCost, recentMoves } from '../../src/planner/move-costs.ts';
import { guest, host } from './inventories.ts';

const left = (...secondsAgo: readonly number[]): Pick<PlannerGuest, 'left'> => ({
  left: secondsAgo.map((each) => ({ host: 'c', secondsAgo: each })),
});

test('a move costs more the more its guest uses, and eight times as much for each move of its last day', () => {
  const demand = [1, 1];
  const { seats, places } = new Fleet({
    hosts: [host('a'), host('b')],
    guests: [
      guest('idle', 'a', { demand: [0, 0] }),
      guest('busy', 'a', { demand }),
      guest('again', 'a', { demand, ...left(20_000, 90_000) }),
    ],
  });
  const [idle, once, again] = seats.map((seat) => movingCost(seat, places[0]!, places[1]!));
  assert.ok(idle! < once!);
  assert.ok(Math.abs(again! - 8 * once!) < 1e-9);
  assert.deepEqual(seats.map(recentMoves), [0, 0, 1]);
});

test('moves of the last hour count against the budget of the hour', () => {
  const guests = [guest('one', 'a', left(100, 3500)), guest('other', 'a', left(4000))];
  const bytes = guests[0]!.memoryBytes;
  assert.deepEqual(leftOf(guests, { perHour: { moves: 10, bytes: 5 * bytes } }), {
    moves: 8,
    bytes: 3 * bytes,
  });
  assert.equal(leftOf(guests, { budget: { moves: 1 }, perHour: { moves: 10 } }).moves, 1);
});
