import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overloadBy } from '../../../bench/cloudsim/overload.ts';
import { placeAtStart, reallocateBy } from '../../../bench/cloudsim/reallocate.ts';
import { leastMemory } from '../../../bench/cloudsim/selection.ts';
import type { WorldMove } from '../../../bench/cloudsim/world.ts';
import { madeWorld, steady } from './worlds.ts';

const decide = reallocateBy(overloadBy({ rule: 'thr', limit: 0.8 }), leastMemory);
const shown = (moves: readonly WorldMove[]): string[] =>
  moves.map(({ guest, to }) => `${guest.name} to ${to.index}`);

test('a host that has too much gives away its smallest guest', () => {
  const world = madeWorld(2, [
    { mips: 1800, loads: steady(1), on: 0, memoryMb: 1740 },
    { mips: 1800, loads: steady(1), on: 0, memoryMb: 613 },
  ]);
  world.look(300.1);
  assert.deepEqual(shown(decide(world)), ['guest1 to 1']);
});

test('the least loaded host is emptied where its guests fit elsewhere', () => {
  const world = madeWorld(2, [
    { mips: 1000, loads: steady(0.5), on: 0 },
    { mips: 2000, loads: steady(0.9), on: 1 },
  ]);
  world.look(300.1);
  assert.deepEqual(shown(decide(world)), ['guest0 to 1']);
});

test('honoured memory keeps a guest where it is', () => {
  const guests = [
    { mips: 1000, loads: steady(0.5), on: 0 },
    { mips: 2000, loads: steady(0.9), on: 1 },
  ];
  const world = madeWorld(2, guests, { hostMemoryMb: 1000 });
  world.look(300.1);
  assert.deepEqual(shown(decide(world)), []);
});

test('guests start at their full size on the first host with room, or where power grows least', () => {
  const world = madeWorld(3, []);
  assert.doesNotThrow(() => placeAtStart(world, 'first'));
  for (const [by, on] of [
    ['first', [0, 0, 1]],
    ['power', [1, 0, 0]],
  ] as const) {
    const empty = madeWorld(
      2,
      [1800, 1800, 1800].map((mips) => ({ mips, loads: steady(0.1), on: 0 })),
    );
    for (const host of empty.hosts) host.guests = [];
    placeAtStart(empty, by);
    assert.deepEqual(
      empty.guests.map(({ host }) => host?.index),
      on,
    );
  }
});

test('a guest that fits nowhere is named', () => {
  const world = madeWorld(1, [{ mips: 5000, loads: steady(1), on: 0 }]);
  assert.throws(() => placeAtStart(world, 'first'), /guest0/);
});
