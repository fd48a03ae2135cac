import assert from 'node:assert/strict';
import { test } from 'node:test';
import { troubled } from '../../../../src/planner/sim/history/trouble.ts';
import { FILES, historyOf } from './histories.ts';

const history = { ...historyOf(FILES), ticks: 7 * 288 };

test('the same seed gives the same trouble, in order, and each event that begins ends', () => {
  const events = troubled(history, 3, 20).events ?? [];
  assert.deepEqual(troubled(history, 3, 20).events, events);
  assert.notDeepEqual(troubled(history, 4, 20).events, events);
  assert.deepEqual(
    events,
    events.toSorted((left, right) => left.at - right.at),
  );
  const count = (...kinds: string[]): number =>
    events.filter(({ kind }) => kinds.includes(kind)).length;
  assert.equal(count('fail'), count('back'));
  assert.equal(count('drain'), count('open'));
  assert.equal(count('silent'), count('heard'));
  assert.equal(count('lies-nan', 'lies-negative', 'lies-above'), count('tells'));
  assert.deepEqual([count('fail'), count('restart')], [8, 100]);
});

test("the site's earlier trouble is kept", () => {
  const own = { at: 5, kind: 'fail', host: 'a' } as const;
  assert.ok(troubled({ ...history, events: [own] }, 1).events?.includes(own));
});
