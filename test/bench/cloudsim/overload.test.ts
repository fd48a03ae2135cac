import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Draft } from '../../../bench/cloudsim/draft.ts';
import { overloadBy } from '../../../bench/cloudsim/overload.ts';
import { guestOf, hostOf, madeWorld, steady } from './worlds.ts';

function draftAfter(loads: readonly number[], ticks: number): Draft {
  const world = madeWorld(1, [{ mips: 3720, loads, on: 0 }]);
  // The clock of the reference: each tick lies 300 s after the last.
  for (let tick = 1, time = 300.1; tick <= ticks; tick += 1, time += 300) world.look(time);
  return new Draft(hostOf(world, 0), 4096);
}

test('a threshold counts what is asked, also of one guest more', () => {
  const world = madeWorld(2, [
    { mips: 1860, loads: steady(0.5), on: 0 },
    { mips: 3720, loads: steady(0.6), on: 1 },
  ]);
  world.look(300.1);
  const over = overloadBy({ rule: 'thr', limit: 0.8 });
  const draft = new Draft(hostOf(world, 0), 4096);
  assert.equal(over(draft), false);
  assert.equal(over(draft, guestOf(world, 1)), true);
});

test('a short past is judged by the threshold of 0.7', () => {
  for (const rule of ['iqr', 'mad', 'lr'] as const) {
    const over = overloadBy({ rule, safety: 1.2 });
    assert.equal(over(draftAfter(steady(0.6), 5)), false);
    assert.equal(over(draftAfter(steady(0.75), 5)), true);
  }
});

test('a line that rises to the capacity is too much, a level one below it is not', () => {
  const over = overloadBy({ rule: 'lr', safety: 1.2 });
  const rising = Array.from({ length: 289 }, (_, at) => Math.min(1, 0.02 * at));
  assert.equal(over(draftAfter(steady(0.8), 25)), false);
  assert.equal(over(draftAfter(rising, 45)), true);
});

test('a past that swings lowers the limit', () => {
  const swings = Array.from({ length: 289 }, (_, at) => [0.3, 0.5, 0.7][at % 3]!);
  assert.equal(overloadBy({ rule: 'iqr', safety: 1.5 })(draftAfter(swings, 23)), true);
  assert.equal(overloadBy({ rule: 'mad', safety: 2.5 })(draftAfter(swings, 23)), true);
  assert.equal(overloadBy({ rule: 'iqr', safety: 1.5 })(draftAfter(steady(0.7), 23)), false);
});
