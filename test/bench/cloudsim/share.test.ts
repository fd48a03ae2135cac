import assert from 'node:assert/strict';
import { test } from 'node:test';
import { share } from '../../../bench/cloudsim/world.ts';
import { guestOf, hostOf, madeWorld, steady } from './worlds.ts';

test('each guest gets what it asks for while there is enough', () => {
  const world = madeWorld(2, [
    { mips: 1000, loads: steady(0.5), on: 0 },
    { mips: 2500, loads: steady(0.8), on: 0 },
  ]);
  world.look(300.1);
  assert.deepEqual(share(hostOf(world, 0)), [500, 1860]);
});

test('a host with too little gives each guest the same part, in whole MIPS', () => {
  const world = madeWorld(1, [
    { mips: 1800, loads: steady(1), on: 0 },
    { mips: 1800, loads: steady(1), on: 0 },
    { mips: 1800, loads: steady(1), on: 0 },
  ]);
  world.look(300.1);
  assert.deepEqual(share(hostOf(world, 0)), [1240, 1240, 1240]);
});

test('a guest that moves loses a tenth on its source and takes a tenth of its destination', () => {
  const world = madeWorld(2, [{ mips: 1000, loads: steady(1), on: 0 }]);
  world.look(300.1);
  world.start([{ guest: guestOf(world, 0), to: hostOf(world, 1) }]);
  assert.deepEqual(share(hostOf(world, 0)), [900]);
  assert.deepEqual(share(hostOf(world, 1)), [100]);
});
