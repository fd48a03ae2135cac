import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { labHost } from '../../lab/state.ts';
import { writeLoadHistory } from '../../src/host/journal/load-file.ts';
import type { LoadHour } from '../../src/protocol/public/hosts/guest-load.ts';
import { isEnd, type MigrationRequest, type Report } from '../../src/protocol/public/migration.ts';
import { startWatchedGuest, type WatchedGuest } from './support/client-view.ts';
import { godwit } from './support/cli.ts';
import { assertSays, begin, follow, refusalOf, reportAtEnd } from './support/moves.ts';
import { killMover } from './support/movers.ts';
import { assertOnlyGuests, assertUnchanged, hostsNow } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

const MOVE = { guest: 'web1', from: 'a', to: 'b' } as const;
const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();

/** Hours before this one, as its host would have kept them of a guest that wrote more than web1 ever can. */
function busyHours(count: number): LoadHour[] {
  const [hourMs, dirtyBytesPerS] = [3_600_000, 1024 ** 3];
  const nowMs = Math.floor(Date.now() / hourMs) * hourMs;
  return Array.from({ length: count }, (_none, at) => {
    const from = new Date(nowMs - (count - at) * hourMs).toISOString();
    return { from, overMs: hourMs, cores: 1, dirtyBytesPerS, dirtyLooks: 6 };
  });
}

describe('a migration with a later start', () => {
  let world: World;
  let web1: WatchedGuest;

  before(async () => {
    world = await openWorld('wait', { hosts: 2 });
    web1 = await startWatchedGuest(world);
  });
  after(() => world?.close());

  /** The guest stays where it is: the wait is the same. */
  async function rehearsed(settings: Partial<MigrationRequest>): Promise<Report> {
    const id = await begin(world, { ...MOVE, ...settings, rehearse: true });
    const report = await reportAtEnd(world, 'a', id);
    assert.equal(report.outcome, 'rehearsed', JSON.stringify(report.error));
    return report;
  }

  test('a waiting migration is cancelled, and has touched nothing', async () => {
    const hosts = await hostsNow(world.lab);
    await web1.unharmed('a', async () => {
      const id = await begin(world, { ...MOVE, notBefore: inMs(3_600_000) });
      const line = await follow(world, 'a', id, ({ note }) => note !== undefined);
      assert.equal(line.phase, 'planned');
      assert.match(line.note ?? '', /waits until \d{4}-/);
      const { migrations } = await world.agent('b').migrations();
      assert.deepEqual(migrations, []);
      await world.agent('a').cancel({ params: { id } });
      assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
    });
    await assertUnchanged(world, hosts);
  });

  test('a migration that ends before it may begin is refused with the arithmetic', async () => {
    const limits = { notBefore: inMs(600_000), deadlineAt: inMs(601_000) };
    const error = await refusalOf(world, { ...MOVE, ...limits });
    assertSays(error, 'GODWIT_USAGE', '1.0 s are left', 'before memory moves');
  });

  test('a migration that is requested with two beginnings is refused by the command', async () => {
    const both = ['--not-before', '1h', '--window', '01:00-05:00'];
    const { exit } = await godwit(world, 'migrate', 'web1', '--to', 'b', ...both);
    assert.equal(exit, 2);
  });

  test('a migration for a quiet moment of a busy guest begins after its bound, and reports what it saw', async () => {
    const report = await rehearsed({ whenQuiet: { withinMs: 5000 } });
    assert.match(report.decisions[0]?.what ?? '', /no quiet moment within .*the guest wrote/);
    const planned = report.phases.find(({ phase }) => phase === 'planned');
    assert.ok((planned?.ms ?? 0) >= 5000);
  });

  test("a migration keeps waiting when its agent restarts and its mover dies, and begins at the guest's quiet hour", async () => {
    const notBefore = inMs(12_000);
    const hours = busyHours(6);
    await web1.unharmed('b', async () => {
      // The time that it may take runs from when it begins.
      const whenQuiet = { withinMs: 60_000 };
      const id = await begin(world, { ...MOVE, notBefore, whenQuiet, timeoutMs: 60_000 });
      await follow(world, 'a', id, ({ phase }) => phase === 'planned');
      await stopAgent(world.lab, 'a');
      writeLoadHistory(labHost(world.lab, 'a').stateDir, new Map([['web1', hours]]));
      await killMover(world, 'a', id);
      await startAgent(world.lab, 'a');
      const began = await follow(world, 'a', id, ({ phase }) => phase !== 'planned');
      assert.ok(Date.now() >= Date.parse(notBefore) || isEnd(began.phase));
      const report = await reportAtEnd(world, 'a', id);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
      assert.equal(report.takeovers, 1);
      assert.match(report.decisions[0]?.what ?? '', /is quiet: it writes/);
      const planned = report.phases.find(({ phase }) => phase === 'planned');
      assert.ok((planned?.ms ?? 0) >= Date.parse(notBefore) - Date.parse(report.startedAt));
    });
    await assertOnlyGuests(world, { b: ['web1'] });
    const load = await world.agent('b').guestLoad({ params: { guest: 'web1' } });
    assert.deepEqual(load.hours.slice(0, hours.length), hours);
  });
});
