import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chaos } from '../../faults/chaos/chaos.ts';

test('three guests go round three hosts for a minute while movers, agents and links die, and nothing is lost', async (t) => {
  const reported = await chaos({ ms: 60_000, seed: 1, signal: t.signal, say: () => {} });
  assert.deepEqual(reported.violations, [], JSON.stringify(reported));
  for (const { guest, moves } of reported.journeys) {
    assert.ok((moves['done'] ?? 0) > 0, `${guest} did not get anywhere: ${JSON.stringify(moves)}`);
  }
  assert.ok(
    reported.deaths.mover > 0 && reported.deaths.agent > 0,
    JSON.stringify(reported.deaths),
  );
});
