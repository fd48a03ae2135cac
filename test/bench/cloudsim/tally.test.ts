import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tally } from '../../../bench/cloudsim/tally.ts';

test('of two looks at the same time the later one counts', () => {
  const tally = new Tally(1, 1);
  tally.guest(0, { time: 0, given: 0, asked: 100, moving: false });
  tally.guest(0, { time: 0, given: 80, asked: 100, moving: true });
  tally.guest(0, { time: 10, given: 50, asked: 100, moving: false });
  tally.guest(0, { time: 20, given: 0, asked: 0, moving: false });
  const totals = tally.totals();
  assert.equal(totals.asked, 2000);
  assert.equal(totals.given, 1300);
  assert.equal(totals.lostByMoves, 200);
  assert.equal(totals.lostByOverload, 500);
  assert.ok(Math.abs(totals.meanMissed - 0.35) < 1e-12);
});

test('a host counts as shut down each time it becomes idle, and its idle time counts for nothing', () => {
  const tally = new Tally(1, 0);
  const at = (time: number, active: boolean, over = false): void =>
    tally.host(0, { time, given: active ? 90 : 0, asked: active ? 100 : 0, active, over });
  at(0, true, true);
  at(10, false);
  at(30, true);
  at(40, false);
  const totals = tally.totals();
  assert.equal(totals.shutdowns, 2);
  assert.equal(totals.activeSeconds, 20);
  assert.equal(totals.shortSeconds, 20);
  assert.equal(totals.overSeconds, 10);
});
