import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  capacityOf,
  guestTypeOf,
  HOST_TYPES,
  moveSeconds,
  wattsAt,
} from '../../../bench/cloudsim/machines.ts';

test('power is linear between the points of the table', () => {
  const [g4, g5] = HOST_TYPES;
  assert.equal(wattsAt(g4!, 0), 86);
  assert.equal(wattsAt(g4!, 1), 117);
  assert.ok(Math.abs(wattsAt(g4!, 0.05) - 87.7) < 1e-9);
  assert.ok(Math.abs(wattsAt(g5!, 0.95) - 134) < 1e-9);
  assert.equal(capacityOf(g4!), 3720);
});

test('a quarter of the guests has each type, and the first quarters take what is left over', () => {
  const types = Array.from({ length: 10 }, (_, index) => guestTypeOf(index, 10).mips);
  assert.deepEqual(types, [2500, 2500, 2500, 2000, 2000, 2000, 1000, 1000, 1000, 500]);
  assert.throws(() => guestTypeOf(12, 10), RangeError);
});

test('a move takes its memory over half of the link', () => {
  assert.equal(moveSeconds(870), 13.92);
});
