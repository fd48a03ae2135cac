import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Draft } from '../../../bench/cloudsim/draft.ts';
import { guestOf, hostOf, madeWorld, steady } from './worlds.ts';

test('a draft follows what is added and taken away, and memory stays with the source', () => {
  const world = madeWorld(2, [
    { mips: 1000, loads: steady(0.5), on: 0 },
    { mips: 2000, loads: steady(0.5), on: 1, memoryMb: 1740 },
  ]);
  world.look(300.1);
  const draft = new Draft(hostOf(world, 0), 4096);
  assert.equal(draft.left, 3220);
  draft.add(guestOf(world, 1));
  assert.deepEqual([draft.asked, draft.given, draft.heldMb], [1500, 1500, 2610]);
  draft.remove(guestOf(world, 0));
  assert.deepEqual([draft.asked, draft.left, draft.heldMb], [1000, 2720, 2610]);
  draft.remove(guestOf(world, 1));
  assert.deepEqual([draft.asked, draft.heldMb], [0, 870]);
});

test('the past of a host is that of the guests that it has now', () => {
  const world = madeWorld(2, [
    { mips: 1860, loads: steady(0.5), on: 0 },
    { mips: 3720, loads: steady(0.25), on: 1 },
  ]);
  world.look(300.1);
  const draft = new Draft(hostOf(world, 0), 4096);
  assert.equal(draft.history()[0], 0.25);
  assert.equal(draft.historyWith(guestOf(world, 1), new Float64Array(30))[0], 0.5);
  draft.add(guestOf(world, 1));
  assert.equal(draft.history()[0], 0.5);
});
