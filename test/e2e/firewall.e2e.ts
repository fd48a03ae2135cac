import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { runCommand } from '../../lab/command.ts';
import { inHost } from '../../lab/entry.ts';
import { startBareGuest } from './support/bare-guest.ts';
import { assertSays, refusalOf } from './support/moves.ts';
import { assertUnchanged, hostsNow } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

/** Agents are reached, and movers are not. */
const WALL = `table inet wall {
  chain input { type filter hook input priority 0; tcp dport 49152-49407 drop; }
}`;
/** A connection that is tried for 10 s, a few questions to the kernel, and what is undone. */
const GIVEN_UP_MS = 40_000;

describe('a firewall in front of movers', () => {
  let world: World;

  before(async () => {
    world = await openWorld('wall', { hosts: 2 });
  });
  after(() => world?.close());

  test('a dropped connection ends a migration within half a minute, with the port to open, and the guest stays', async () => {
    const guest = await startBareGuest(world, { name: 'walled', host: 'a' });
    const nft = (...argv: string[]) => inHost(world.lab, 'b', ['nft', ...argv]);
    try {
      const hosts = await hostsNow(world.lab);
      await runCommand(nft('-f', '-'), { input: WALL });
      const beganMs = performance.now();
      const error = await refusalOf(world, { guest: 'walled', from: 'a', to: 'b' });
      const tookMs = performance.now() - beganMs;
      console.log(`given up after ${(tookMs / 1000).toFixed(1)} s`);
      await runCommand(nft('delete', 'table', 'inet', 'wall'));
      assertSays(error, 'GODWIT_UNREACHABLE', 'nothing comes back from port 49', 'firewall');
      assert.ok(tookMs < GIVEN_UP_MS, `it took ${Math.round(tookMs)} ms`);
      assert.equal(await guest.status(), 'running');
      await assertUnchanged(world, hosts);
    } finally {
      await guest.stop();
    }
  });
});
