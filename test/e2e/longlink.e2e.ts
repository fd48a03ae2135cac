import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { runCommand } from '../../lab/command.ts';
import { inLab } from '../../lab/entry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { portNames } from '../../lab/network-plan.ts';
import { namespaceOf } from '../../lab/plan.ts';
import { askQemu } from '../../lab/witness/monitor.ts';
import { seenQemus } from '../../lab/witness/qemus.ts';
import { watchGuest, type WatchedGuest } from './support/client-view.ts';
import {
  assertSays,
  begin,
  follow,
  move,
  reportAtEnd,
  unlessForbidden,
  untilMemoryFlows,
} from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const GBIT = 125_000_000;

describe('between hosts that are 20 ms and 1 Gbit/s apart', () => {
  let world: World;
  let web1: WatchedGuest;

  before(async () => {
    world = await openWorld('far', { hosts: 3, delayMs: 20, linkBytesPerSecond: GBIT });
    await startGuest(world.lab, {
      name: 'web1',
      host: 'a',
      memoryBytes: 256 * MIB,
      workingSetBytes: 16 * MIB,
      dirtyBytesPerSecond: 5 * MIB,
    });
    web1 = await watchGuest(world, 'web1');
  });
  after(() => world?.close());

  async function link(host: string, state: 'up' | 'down'): Promise<void> {
    const { entry, name } = world.lab;
    const line = ['link', 'set', portNames(host).port, state];
    await runCommand(inLab(entry, ['ip', '-n', namespaceOf(name, 'switch'), ...line]));
  }

  test('a guest moves over four streams, round after round', async () => {
    const limits = { maxBandwidth: GBIT, streams: 4 };
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      await web1.unharmed(to, () => move(world, { guest: 'web1', from, to, ...limits }));
    }
    await assertOnlyGuests(world, { a: ['web1'] });
  });

  test('a guest moves by post-copy, with each page requested over the long link', async (t) => {
    await unlessForbidden(t, async () => {
      await web1.unharmed('c', () =>
        move(world, { guest: 'web1', from: 'a', to: 'c', mode: 'postcopy' }),
      );
      await web1.unharmed('a', () => move(world, { guest: 'web1', from: 'c', to: 'a' }));
    });
  });

  for (const streams of [1, 4]) {
    test(`a cancel takes the guest back while ${streams} streams are stalled in a dead link`, async () => {
      await web1.unharmed('a', async () => {
        // Slowly enough that the link is cut long before the guest is to stop.
        const slow = { maxBandwidth: 16 * MIB, streams };
        const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', ...slow });
        try {
          await untilMemoryFlows(world, 'a', id);
          await link('a', 'down');
          // Before it is cancelled, QEMU's threads wait for a link that will take nothing any more.
          await standsStill(id);
          const answer = await world.agent('a').cancel({ params: { id } }, { deadlineMs: 3000 });
          assert.deepEqual(answer, { accepted: true, what: 'rolling back: web1 runs on at a' });
          await until('QEMU to have left the stream', 20_000, async () =>
            /^(cancelled|failed)$/.test(await streamAt('a')) ? true : undefined,
          );
        } finally {
          await link('a', 'up');
        }
        const report = await reportAtEnd(world, 'a', id);
        assert.equal(report.outcome, 'cancelled');
        assert.equal(report.runsAt, 'source');
        assertSays(report.error!, 'GODWIT_CANCELLED', 'web1', 'keeps running at a');
        await assertOnlyGuests(world, { a: ['web1'] });
      });
    });
  }

  /** The state of the stream as QEMU itself reports it to the witness. */
  async function streamAt(host: string): Promise<string> {
    const qemu = (await seenQemus(world.lab)).find((seen) => seen.host === host);
    const answer = await askQemu(qemu?.monitors.at(-1) ?? '', 'query-migrate');
    return String((answer as { status?: unknown }).status);
  }

  /** Two looks at the stream that found nothing more sent. */
  async function standsStill(id: string): Promise<void> {
    let last = -1;
    await follow(world, 'a', id, ({ sample }) => {
      if (sample === undefined) return false;
      const same = sample.transferredBytes === last;
      last = sample.transferredBytes;
      return same;
    });
  }
});
