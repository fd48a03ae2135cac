import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallRate } from '../../../src/agent/recovery/call-rate.ts';

function scene() {
  const world = { now: 0 };
  const limit = { what: 'heartbeats', burst: 3, everyMs: 1000 };
  return { world, rate: new CallRate('b', limit, () => world.now) };
}

test('a host may make its calls at once, and one more after each pause', () => {
  const { world, rate } = scene();
  for (let index = 0; index < 3; index += 1) rate.take('m');
  world.now = 999;
  assert.throws(() => rate.take('m'), /b, in heartbeats of m, is at its limit of 3, and one more/);
  world.now = 1000;
  rate.take('m');
  assert.throws(() => rate.take('m'), { code: 'GODWIT_OVERLOADED' });
  world.now = 60_000;
  for (let index = 0; index < 3; index += 1) rate.take('m');
  assert.throws(() => rate.take('m'), { code: 'GODWIT_OVERLOADED' });
});

test('a refused call is not counted, and each host has a separate count', () => {
  const { world, rate } = scene();
  for (let index = 0; index < 3; index += 1) rate.take('m');
  for (let index = 0; index < 100; index += 1) assert.throws(() => rate.take('m'));
  rate.take('a');
  world.now = 1000;
  rate.take('m');
});
