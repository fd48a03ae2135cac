import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  linesOf,
  MAX_LISTED_MOVES,
  pageOf,
  refusedLines,
} from '../../../src/cli/fleet/replay-page.ts';
import type { Replay } from '../../../src/planner/sim/history/replay.ts';

const was: Replay = {
  hours: 2,
  contention: 1.5,
  unserved: 0.01,
  moves: 0,
  failedMoves: 0,
  movedBytes: 0,
  wakes: 0,
  darkGuestHours: 0,
  kwh: 10,
  hostHours: 4,
  refused: [],
  byHour: [
    { contention: 1, on: 2 },
    { contention: 0.5, on: 2 },
  ],
};
const would = { ...was, contention: 0.5, moves: 2, kwh: 8 };

test('energy is reported if hosts report their power, and money if a price is given', () => {
  const names = (facts: Parameters<typeof linesOf>[0]) => linesOf(facts).map(([name]) => name);
  const { kwh: _kwh, ...dark } = was;
  assert.ok(
    !names({ policy: 'balance', was: dark, would: dark }).some((name) => name.includes('energy')),
  );
  const priced = linesOf({
    policy: 'balance',
    was,
    would,
    price: { perKwh: 0.3, currency: 'EUR' },
  });
  assert.deepEqual(priced.at(-1), ['energy, EUR', '3.00', '2.40']);
});

test("the policy's failed moves are reported with their number and the first one", () => {
  const refused = [{ constraint: 'cpu', looks: 3, words: 'a<b: is asked for more' } as const];
  const facts = { policy: 'balance', was, would: { ...would, refused } };
  assert.deepEqual(refusedLines(facts), [
    'not possible at 3 looks, such as: a<b: is asked for more',
  ]);
  assert.match(
    pageOf(facts),
    /<p>not possible at 3 looks, such as: a&lt;b: is asked for more<\/p>/,
  );
});

test('the charts accept any number of hours', () => {
  const byHour = Array.from({ length: 200_000 }, () => ({ contention: 1, on: 7 }));
  const page = pageOf({ policy: 'balance', was: { ...was, byHour }, would });
  assert.ok(page.length < 100_000);
  assert.match(page, /<li>day 8334<\/li>/);
});

test('the page has both figures and two charts, loads nothing, and names are escaped', () => {
  const page = pageOf({ policy: '<b>&"', was, would });
  assert.match(page, /<td>1\.5<\/td>\s*<td>0\.5<\/td>/);
  assert.equal(page.split('<svg').length, 3);
  assert.ok(!page.includes('<b>') && page.includes('&lt;b&gt;&amp;&quot;'));
  assert.ok(!/https?:|src=|href=/.test(page));
});

test('the page has a time axis, a dark theme, and the moves with their reasons', () => {
  const move = { atS: 93_900, guest: 'web<1', from: 'a', to: 'b', words: 'a is full' };
  const page = pageOf({ policy: 'balance', was, would, moves: [move] });
  assert.match(page, /prefers-color-scheme: dark/);
  assert.match(page, /<li>0 h<\/li>\s*<li>0\.5 h<\/li>\s*<li>1 h<\/li>/);
  assert.match(page, /<td>day 2, 02:05<\/td>\s*<td>web&lt;1<\/td>/);
  assert.match(page, /and 1 more/);
  const many = Array.from({ length: MAX_LISTED_MOVES + 5 }, () => move);
  const all = pageOf({ policy: 'balance', was, would: { ...would, moves: 1005 }, moves: many });
  assert.match(all, /and 5 more/);
});
