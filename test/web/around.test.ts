import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pointsAround, spanFor } from '../../web/src/moves/around.ts';

const MINUTE_MS = 60_000;
const point = (minute: number, cores: number) => ({
  at: new Date(minute * MINUTE_MS).toISOString(),
  cores,
});
const move = { startMs: 100 * MINUTE_MS, endMs: 101 * MINUTE_MS };

test('a new move has five-minute means, and an older one has hourly means', () => {
  assert.equal(spanFor(move, move.endMs + 10 * MINUTE_MS), 'look');
  assert.equal(spanFor(move, move.endMs + 200 * MINUTE_MS), 'hour');
});

test('the load around a move is shown only if it is known before and after the move', () => {
  const all = [point(10, 9), point(95, 1), point(100, 0.5), point(105, 2), point(200, 9)];
  assert.deepEqual(
    pointsAround(all, move, 'look').map(({ cores }) => cores),
    [1, 0.5, 2],
  );
  assert.deepEqual(pointsAround([point(95, 1), point(98, 1)], move, 'look'), []);
  assert.deepEqual(pointsAround([point(105, 1), point(110, 1)], move, 'look'), []);
  assert.equal(pointsAround(all, move, 'hour').length, 5);
});
