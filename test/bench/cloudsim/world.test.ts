import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadAt } from '../../../bench/cloudsim/world.ts';
import { guestOf, hostOf, madeWorld, steady } from './worlds.ts';

const near = (left: number, right: number): void =>
  assert.ok(Math.abs(left - right) < 1e-9, `${left} is not ${right}`);

test('a load is linear between two samples', () => {
  assert.equal(loadAt(Float64Array.from([0.1, 0.5]), 0), 0.1);
  near(loadAt(Float64Array.from([0.1, 0.5]), 75), 0.2);
});

test('a host costs the mean of its power at two looks, and nothing while it is off', () => {
  const world = madeWorld(2, [{ mips: 1860, loads: steady(1), on: 0 }]);
  world.look(300.1);
  near(world.joules, 0);
  world.look(600.1);
  // 1860 of 3720 MIPS: 102 W. The other host has no guest.
  near(world.joules, 102 * 300);
});

test('a move takes the time of its memory, and ends at its own time', () => {
  const world = madeWorld(2, [{ mips: 1000, loads: steady(0.5), on: 0 }]);
  world.look(300.1);
  world.start([{ guest: guestOf(world, 0), to: hostOf(world, 1) }]);
  assert.equal(guestOf(world, 0).host?.index, 0);
  world.arrive(600);
  near(world.now, 300.1 + 13.92);
  assert.equal(guestOf(world, 0).host?.index, 1);
  assert.equal(guestOf(world, 0).moving, false);
  world.look(600.1);
  near(world.tally.totals().lostByMoves, 0.1 * 500 * 13.92);
});

test('the reference removes a guest that asks for nothing; guests can be kept', () => {
  const loads = [0.5, 0.5, 0, 0, 0.5, 0.5];
  for (const guestsKept of [false, true]) {
    const world = madeWorld(1, [{ mips: 1000, loads, on: 0 }], { guestsKept });
    for (const time of [300.1, 600.1]) world.look(time);
    assert.equal(world.guests.length, guestsKept ? 1 : 0);
    assert.equal(hostOf(world, 0).guests.length, guestsKept ? 1 : 0);
  }
});

test('a host that has no guest boots before a guest can come, and that costs energy', () => {
  const world = madeWorld(2, [{ mips: 1000, loads: steady(0.5), on: 0 }], { bootSeconds: 150 });
  world.look(300.1);
  world.start([{ guest: guestOf(world, 0), to: hostOf(world, 1) }]);
  assert.equal(world.wakes, 1);
  near(world.joules, 150 * 93.7);
  world.arrive(600);
  near(world.now, 300.1 + 150 + 13.92);
});

test('memory counts on both hosts until a move ends', () => {
  const world = madeWorld(
    2,
    [
      { mips: 1000, loads: steady(0.5), on: 0, memoryMb: 800 },
      { mips: 1000, loads: steady(0.5), on: 1, memoryMb: 800 },
    ],
    { hostMemoryMb: 1000 },
  );
  world.look(300.1);
  world.start([
    { guest: guestOf(world, 0), to: hostOf(world, 1) },
    { guest: guestOf(world, 1), to: hostOf(world, 0) },
  ]);
  assert.equal(world.memoryOverMb, 600);
});
