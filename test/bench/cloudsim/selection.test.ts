import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  leastLoad,
  leastMemory,
  mostCorrelated,
  random,
} from '../../../bench/cloudsim/selection.ts';
import { madeWorld, steady } from './worlds.ts';

const rising = Array.from({ length: 289 }, (_, at) => at / 289);
const swinging = Array.from({ length: 289 }, (_, at) => (at % 2 === 0 ? 0.5 : 0.3));
const world = madeWorld(1, [
  { mips: 1000, loads: rising, on: 0, memoryMb: 1740 },
  { mips: 500, loads: swinging, on: 0, memoryMb: 613 },
  { mips: 500, loads: rising.map((load) => load * 0.9 + 0.05), on: 0, memoryMb: 613 },
]);
for (let time = 300.1; time < 4000; time += 300) world.look(time);
const { guests } = world;

test('the least memory goes first, the first of equals', () => {
  assert.equal(leastMemory(guests)?.index, 1);
});

test('the least load goes first', () => {
  assert.equal(leastLoad(guests)?.index, 0);
});

test('the guest that the others explain best goes first, and the least memory where none is explained', () => {
  assert.notEqual(mostCorrelated(guests)?.index, 1);
  assert.equal(mostCorrelated(guests.slice(1, 2))?.index, 1);
});

test('a random guest is that of the number drawn', () => {
  assert.equal(random(() => 0.99)(guests)?.index, 2);
});

test('a guest that is steady is never explained', () => {
  const still = madeWorld(1, [{ mips: 500, loads: steady(0.5), on: 0 }]);
  still.look(300.1);
  assert.equal(mostCorrelated(still.guests)?.index, 0);
});
