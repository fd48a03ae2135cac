import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  problemOf,
  secondsOf,
  type Links,
  type Pace,
  type Transfer,
} from '../../src/planner/timetable.ts';

const OPEN: Pace = { fill: Infinity, ahead: 0 };
const ONE: Pace = { fill: 1, ahead: 0 };
/** Before memory flows and after it, s. */
const FIXED = 3;

const links = (more: Partial<Links> = {}): Links => ({
  bytesPerSecond: () => 100,
  parallel: 4,
  out: 4,
  in: 4,
  ...more,
});

const transfer = (memoryBytes: number, more: Partial<Transfer> = {}): Transfer => ({
  from: 'a',
  to: 'b',
  memoryBytes,
  dirtyBytesPerSecond: 0,
  ...more,
});

const seconds = (all: Transfer[], pace = OPEN, limits = links()): number =>
  secondsOf(problemOf(all, limits), [...all.keys()], pace);

test("a move takes its fixed time and its bytes, and additional time for the guest's writes", () => {
  assert.equal(seconds([transfer(1000)]), 10 + FIXED);
  assert.equal(seconds([transfer(1000, { dirtyBytesPerSecond: 20 })]), 12.5 + FIXED);
});

test('a guest with few hot pages is not sent again as a whole', () => {
  const hot = { dirtyBytesPerSecond: 50 };
  const all = seconds([transfer(1000, hot)]);
  assert.ok(seconds([transfer(1000, { ...hot, workingSetBytes: 100 })]) < all);
});

test('moves on a full link start one after the other, and the next one earlier if it may', () => {
  const all = [transfer(1000), transfer(1000)];
  assert.equal(seconds(all, ONE), 2 * (10 + FIXED));
  assert.equal(seconds(all, { fill: 1, ahead: 2.5 }), 2 * 10 + FIXED + 0.5);
});

test('limits per host, per pair of hosts and in total are kept, and a waiting move blocks no other', () => {
  const all = [transfer(100), transfer(100), transfer(100, { from: 'c', to: 'd' })];
  const one = 1 + FIXED;
  assert.equal(seconds(all, OPEN, links({ out: 1 })), 2 * one);
  assert.equal(seconds(all, OPEN, links({ in: 1 })), 2 * one);
  assert.equal(
    seconds(all, OPEN, links({ between: (from) => (from === 'a' ? 1 : undefined) })),
    2 * one,
  );
  assert.equal(seconds(all, OPEN, links({ parallel: 1 })), 3 * one);
  assert.equal(seconds(all, OPEN, links({ parallel: 0 })), Infinity);
});

test('a trunk is shared by all moves over it', () => {
  const trunk = () => ({ name: 'north to south', bytesPerSecond: 50 });
  const all = [transfer(1000), transfer(1000, { from: 'c', to: 'd' })];
  assert.equal(seconds(all, OPEN, links({ trunk })), 40 + FIXED);
});

test('a running move continues from its present state', () => {
  const running = { leftBytes: 500, leadSeconds: 0 };
  assert.equal(seconds([transfer(1000, { running })]), 5 + 0.5);
});

test('the starts and ends of moves are reported', () => {
  const reported: string[] = [];
  const all = [transfer(100), transfer(100)];
  secondsOf(problemOf(all, links()), [1, 0], ONE, {
    started: (index, at) => reported.push(`${index} starts at ${at}`),
    ended: (index, at) => reported.push(`${index} ends at ${at}`),
  });
  assert.deepEqual(reported, ['1 starts at 0', '1 ends at 4', '0 starts at 4', '0 ends at 8']);
});
