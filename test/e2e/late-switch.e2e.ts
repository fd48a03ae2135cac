import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { runCommand } from '../../lab/command.ts';
import { inLab } from '../../lab/entry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { portNames } from '../../lab/network-plan.ts';
import { migrationLink, namespaceOf } from '../../lab/plan.ts';
import { watchGuest, type WatchedGuest } from './support/client-view.ts';
import { assertSays, begin, reportAtEnd, unlessForbidden } from './support/moves.ts';
import { sourceJournal } from './support/movers.ts';
import { setPath } from './support/paths.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, type World } from './support/world.ts';

const KIB = 1024;
/** What QEMU writes first takes seconds: it comes to no order meanwhile. */
const THIN = 24 * KIB;
/** Longer than the switch may take where nothing repairs a link. */
const CUT_MS = 22_000;

describe('over an almost dead link', () => {
  let world: World;
  let web1: WatchedGuest;

  before(async () => {
    world = await openWorld('thin', { hosts: 2, linkBytesPerSecond: THIN });
    await startGuest(world.lab, {
      name: 'web1',
      host: 'a',
      memoryBytes: 192 * KIB ** 2,
      workingSetBytes: 8 * KIB ** 2,
    });
    web1 = await watchGuest(world, 'web1');
  });
  after(() => world?.close());

  test('a switch to post-copy that does not begin before the link is dead is undone, and the guest keeps running', async (t) => {
    await unlessForbidden(t, () =>
      web1.unharmed('a', async () => {
        const id = await orderedInVain('native');
        try {
          await until('the guest to be taken back', 30_000, () => journalHas(id, '"undid"'));
        } finally {
          await setPath(world, 'b', 0, 'open');
        }
        const report = await reportAtEnd(world, 'a', id);
        assert.deepEqual([report.outcome, report.runsAt], ['failed', 'source']);
        assertSays(report.error!, 'GODWIT_DEADLINE', 'step switchover', '20.0 s');
        await assertOnlyGuests(world, { a: ['web1'] });
      }),
    );
  });

  test('a guest on the wire arrives all the same, once the link is back', async (t) => {
    await unlessForbidden(t, () =>
      web1.unharmed('b', async () => {
        const id = await orderedInVain('wire');
        try {
          await systemClock.sleep(CUT_MS);
          assert.equal(await journalHas(id, '"step":"commit"'), undefined);
        } finally {
          await uncap();
          await setPath(world, 'b', 0, 'open');
        }
        const report = await reportAtEnd(world, 'a', id);
        assert.deepEqual([report.outcome, report.finished], ['done', 'postcopy']);
        await assertOnlyGuests(world, { b: ['web1'] });
      }),
    );
  });

  /** The order was given while the first that QEMU wrote had no room yet, and the link takes nothing any more. */
  async function orderedInVain(way: 'native' | 'wire'): Promise<string> {
    const request = { guest: 'web1', from: 'a', to: 'b', mode: 'postcopy', path: way } as const;
    const id = await begin(world, request);
    try {
      await until('the order to switch', 60_000, () => journalHas(id, '"what":"postcopy"'));
    } finally {
      await setPath(world, 'b', 0, 'black hole');
    }
    return id;
  }

  async function journalHas(id: string, words: string): Promise<true | undefined> {
    const journal = await sourceJournal(world, 'a', id);
    return journal.includes(words) ? true : undefined;
  }

  /** From now on the link takes what is sent. */
  async function uncap(): Promise<void> {
    for (const host of ['a', 'b']) {
      await inNamespace('switch', 'tc', ['qdisc', 'del', 'dev', portNames(host).port, 'root']);
      await inNamespace(host, 'tc', ['qdisc', 'del', 'dev', migrationLink(0), 'root']);
    }
  }

  async function inNamespace(member: string, tool: string, words: string[]): Promise<void> {
    const { entry, name } = world.lab;
    await runCommand(inLab(entry, [tool, '-n', namespaceOf(name, member), ...words]));
  }
});
