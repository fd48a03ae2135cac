import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chaos } from '../../faults/chaos/chaos.ts';

test('three guests go round three hosts for a minute while movers, agents and links die, and nothing is lost', async (t) => {
  const told = await chaos({ ms: 60_000, seed: 1, signal: t.signal, say: () => {} });
  assert.deepEqual(told.violations, [], JSON.stringify(told));
  for (const { guest, moves } of told.journeys) {
    assert.ok((moves['done'] ?? 0) > 0, `${guest} did not get anywhere: ${JSON.stringify(moves)}`);
  }
  assert.ok(told.deaths.mover > 0 && told.deaths.agent > 0, JSON.stringify(told.deaths));
});
