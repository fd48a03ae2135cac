import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runCommand } from '../../src/lab/command.ts';
import { inLab } from '../../src/lab/entry.ts';
import { startGuest } from '../../src/lab/guest/start.ts';
import { portNames } from '../../src/lab/network-plan.ts';
import { namespaceOf } from '../../src/lab/plan.ts';
import { labHost } from '../../src/lab/state.ts';
import { watchGuest } from './support/client-view.ts';
import type { WatchedGuest } from './support/client-view.ts';
import { assertSays, begin, reportAtEnd, unlessForbidden } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from './support/wait.ts';
import { openWorld } from './support/world.ts';
import type { World } from './support/world.ts';

const KIB = 1024;
/** What QEMU writes first takes seconds: it comes to no order meanwhile. */
const THIN = 24 * KIB;

describe('over a link that takes next to nothing', () => {
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

  test('a switch to post-copy that does not begin before the link is dead is undone, and the guest runs on', async (t) => {
    await unlessForbidden(t, () =>
      web1.unharmed('a', async () => {
        const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', mode: 'postcopy' });
        try {
          await until('memory to flow', 60_000, () => journalHas(id, '"type":"active"'));
          await link('down');
          await until('the order to switch', 10_000, () => journalHas(id, '"what":"postcopy"'));
          await until('the guest to be taken back', 30_000, () => journalHas(id, '"undid"'));
        } finally {
          await link('up');
        }
        const report = await reportAtEnd(world, 'a', id);
        assert.deepEqual([report.outcome, report.runsAt], ['failed', 'source']);
        assertSays(report.error!, 'GODWIT_DEADLINE', 'step switchover', '20000 ms');
        await assertOnlyGuests(world, { a: ['web1'] });
      }),
    );
  });

  async function journalHas(id: string, words: string): Promise<true | undefined> {
    const { stateDir } = labHost(world.lab, 'a');
    const file = path.join(stateDir, 'migrations', id, 'journal-source.jsonl');
    const journal = await readFile(file, 'utf8').catch(() => '');
    return journal.includes(words) ? true : undefined;
  }

  async function link(state: 'up' | 'down'): Promise<void> {
    const { entry, name } = world.lab;
    const line = ['link', 'set', portNames('b').port, state];
    await runCommand(inLab(entry, ['ip', '-n', namespaceOf(name, 'switch'), ...line]));
  }
});
