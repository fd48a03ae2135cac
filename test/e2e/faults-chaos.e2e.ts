import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chaos } from '../../faults/chaos/chaos.ts';

test('three guests circle three hosts for a minute while movers, agents and links die, and nothing is lost', async (t) => {
  const reported = await chaos({ ms: 60_000, seed: 1, signal: t.signal, say: () => {} });
  assert.deepEqual(reported.violations, [], JSON.stringify(reported));
  assert.ok(reported.moves > 0, `no guest got anywhere: ${JSON.stringify(reported.journeys)}`);
  for (const { guest, moves, calmMoves } of reported.journeys) {
    // Each of one guest's few moves may meet a death; none does afterwards.
    const done = (moves['done'] ?? 0) + (calmMoves['done'] ?? 0);
    assert.ok(done > 0, `${guest} did not get anywhere: ${JSON.stringify([moves, calmMoves])}`);
  }
  assert.ok(
    reported.deaths.mover > 0 && reported.deaths.agent > 0,
    JSON.stringify(reported.deaths),
  );
});
