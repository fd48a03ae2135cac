import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startWatchedGuest, type WatchedGuest } from './support/client-view.ts';
import { assertSays, begin, reportAtEnd, SLOW, untilMemoryFlows } from './support/moves.ts';
import { setPath } from './support/paths.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

/** It is waited for 45 s; the rest is for a busy machine. An undo may take 110 s. */
const MAX_MS = 90_000;

describe('a migration that is cancelled while its link is dead', () => {
  let world: World;
  let web1: WatchedGuest;

  before(async () => {
    world = await openWorld('dark', { hosts: 2 });
    web1 = await startWatchedGuest(world);
  });
  after(() => world?.close());

  test("a cancelled migration ends without the destination's answer, which cleans up once the link is back", async (t) => {
    await web1.unharmed('a', async () => {
      const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', ...SLOW });
      await untilMemoryFlows(world, 'a', id);
      await setPath(world, 'b', 0, 'black hole');
      const cutMs = Date.now();
      try {
        await world.agent('a').cancel({ params: { id } });
        const report = await reportAtEnd(world, 'a', id);
        const tookMs = Date.now() - cutMs;
        t.diagnostic(`it ended after ${tookMs} ms`);
        assert.deepEqual([report.outcome, report.runsAt], ['cancelled', 'source']);
        // Its refusal could not be heard either.
        const left = report.leftovers?.at(-1);
        assert.ok(left !== undefined);
        assertSays(left, 'GODWIT_UNREACHABLE', 'b at', 'it gives up its part by itself');
        assert.ok(tookMs < MAX_MS, String(tookMs));
      } finally {
        await setPath(world, 'b', 0, 'open');
      }
      await assertOnlyGuests(world, { a: ['web1'] });
    });
  });
});
