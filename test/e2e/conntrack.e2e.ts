import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { openProbe, readProbe } from '../../lab/probe/probe.ts';
import { watchGuest } from './support/client-view.ts';
import { droppedAt, filterBridges, trackedAt } from './support/filters.ts';
import {
  begin,
  move,
  reportAtEnd,
  SLOW,
  unlessForbidden,
  untilMemoryFlows,
  type Move,
} from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

/** Host a leaves a guest's connections to themselves, b hands them over. */
describe('a guest between hosts that drop untracked connections', () => {
  let world: World;

  before(async () => {
    const configure = (host: string) => ({
      network: { connections: host === 'a' ? ('leave' as const) : ('hand-over' as const) },
    });
    world = await openWorld('track', { hosts: 2, configure });
    await filterBridges(world);
    await startGuest(world.lab, { name: 'web1', host: 'a', ...SMALL_GUEST });
  });
  after(() => world?.close());

  async function said(request: Move): Promise<string[]> {
    return saidOf((await move(world, request)).checks);
  }

  test('a guest loses its connection if the tracking is not handed over', async () => {
    const probe = await openProbe(world.lab, 'web1', { intervalMs: 10 });
    try {
      assert.deepEqual(await said({ guest: 'web1', from: 'a', to: 'b' }), [
        'pass: left to themselves, as this host is configured',
      ]);
      const { received } = await probe.read();
      // A segment, and what TCP sends when no answer comes.
      await until('segments that b drops', 60_000, async () =>
        (await droppedAt(world.lab, 'b')) >= 3 ? true : undefined,
      );
      assert.equal((await probe.read()).received, received);
    } finally {
      await probe.stop();
    }
  });

  test('a guest keeps its connection if the tracking is handed over', async () => {
    const watched = await watchGuest(world, 'web1');
    await watched.unharmed('a', async () => {
      const [reported = '', ...more] = await said({ guest: 'web1', from: 'b', to: 'a' });
      assert.match(reported, /^pass: \d+ handed over ahead of the guest$/);
      assert.deepEqual(more, []);
    });
    await assertOnlyGuests(world, { a: ['web1'] });
  });

  test('a guest that does not arrive leaves no tracking entries', async () => {
    await move(world, { guest: 'web1', from: 'a', to: 'b' });
    const watched = await watchGuest(world, 'web1');
    await watched.unharmed('b', async () => {
      const { localPort = 0 } = (await readProbe(world.lab, 'web1')) ?? {};
      const known = (host: string): Promise<number> => trackedAt(world.lab, host, localPort);
      const id = await begin(world, { guest: 'web1', from: 'b', to: 'a', ...SLOW });
      await untilMemoryFlows(world, 'b', id);
      const during = [await known('a'), await known('b')];
      await world.agent('b').cancel({ params: { id } });
      const { outcome, checks } = await reportAtEnd(world, 'b', id);
      assert.deepEqual(during, [1, 1], saidOf(checks).join('; '));
      assert.equal(outcome, 'cancelled');
      assert.deepEqual([await known('a'), await known('b')], [0, 1]);
    });
    await assertOnlyGuests(world, { b: ['web1'] });
  });

  test('a guest keeps its connection by post-copy, too', async (t) => {
    const watched = await watchGuest(world, 'web1');
    await unlessForbidden(t, () =>
      watched.unharmed('a', () =>
        move(world, { guest: 'web1', from: 'b', to: 'a', mode: 'postcopy' }),
      ),
    );
  });
});

function saidOf(checks: Report['checks']): string[] {
  return checks.flatMap(({ name, verdict, evidence }) =>
    name === 'connections' ? [`${verdict}: ${evidence}`] : [],
  );
}
