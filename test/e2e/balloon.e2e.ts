import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { startGuest } from '../../lab/guest/start.ts';
import { planAnswer } from '../../src/protocol/public/plan.ts';
import { until } from '../until.ts';
import { watchGuest, type WatchedGuest } from './support/client-view.ts';
import { godwit } from './support/cli.ts';
import { askGuestQemu } from './support/monitors.ts';
import { begin, move, reportAtEnd, SLOW, untilMemoryFlows } from './support/moves.ts';
import { killMover } from './support/movers.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const MEMORY = 384 * MIB;
/** A guest that gets little of the processor gives up less than it could. */
const MIN = 8 * MIB;
const BALLOON = { balloon: 'available' } as const;
const answered = z.object({ actual: z.number() });

describe('a guest with a reclaiming balloon', () => {
  let world: World;
  let web1: WatchedGuest;

  before(async () => {
    world = await openWorld('balln', { hosts: 2 });
    await startGuest(world.lab, {
      name: 'web1',
      host: 'a',
      memoryBytes: MEMORY,
      workingSetBytes: 8 * MIB,
      dirtyBytesPerSecond: MIB / 4,
    });
    web1 = await watchGuest(world, 'web1');
  });
  after(() => world?.close());

  /** What the guest has on that host. */
  async function actual(host: string): Promise<number> {
    return answered.parse(await askGuestQemu(world, 'web1', host, 'query-balloon')).actual;
  }

  async function untilWhole(host: string): Promise<void> {
    await until('the guest to have all of its memory', 20_000, async () =>
      (await actual(host)) === MEMORY ? true : undefined,
    );
  }

  test('the check reports how much may be taken, and refuses if another program has taken some', async () => {
    const checksOf = async (...flags: string[]) => {
      const words = ['--to', 'b', '--dry-run', ...flags, '--json'];
      const { out } = await godwit(world, 'migrate', 'web1', ...words);
      return planAnswer.parse(JSON.parse(out)).host.checks;
    };
    const check = async () =>
      (await checksOf('--balloon', 'available')).find(({ name }) => name === 'balloon');
    const held = async () =>
      (await checksOf()).filter(({ evidence }) => /its balloon holds/.test(evidence));
    const found = await check();
    assert.equal(found?.verdict, 'pass', JSON.stringify(found));
    assert.match(found?.evidence ?? '', /MiB of its memory may be taken: .* are available/);
    assert.deepEqual(await held(), []);
    await askGuestQemu(world, 'web1', 'a', 'balloon', { value: MEMORY - 32 * MIB });
    await until('the balloon to be filled', 20_000, async () =>
      (await actual('a')) === MEMORY - 32 * MIB ? true : undefined,
    );
    const refused = await check();
    assert.equal(refused?.verdict, 'refuse');
    assert.match(refused?.evidence ?? '', /holds 32 MiB already, for somebody else/);
    const [said] = await held();
    assert.equal(said?.name, 'memory');
    assert.match(
      said?.evidence ?? '',
      /holds 32 MiB: the guest has 352 MiB now .* grow to 384 MiB/,
    );
    await askGuestQemu(world, 'web1', 'a', 'balloon', { value: MEMORY });
    await untilWhole('a');
  });

  test('a guest gets its memory back at the source when the move is cancelled', async () => {
    await web1.unharmed('a', async () => {
      const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', ...BALLOON, ...SLOW });
      await untilMemoryFlows(world, 'a', id);
      assert.ok((await actual('a')) < MEMORY - MIN, String(await actual('a')));
      await world.agent('a').cancel({ params: { id } });
      const { outcome, leftovers, balloon } = await reportAtEnd(world, 'a', id);
      assert.deepEqual([outcome, leftovers], ['cancelled', undefined]);
      assert.ok((balloon?.takenBytes ?? 0) > MIN);
      await untilWhole('a');
    });
  });

  test('a guest gets its memory back even if its mover was killed, from the next mover', async () => {
    await web1.unharmed('a', async () => {
      const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', ...BALLOON, ...SLOW });
      await untilMemoryFlows(world, 'a', id);
      await killMover(world, 'a', id);
      await until('a new mover to have taken over', 30_000, async () => {
        const { takeovers } = await world.agent('a').report({ params: { id } });
        return takeovers > 0 ? true : undefined;
      });
      await world.agent('a').cancel({ params: { id } });
      assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
      await untilWhole('a');
    });
  });

  test('a guest has all of its memory again at the destination, and always kept some', async () => {
    await web1.unharmed('b', async () => {
      const report = await move(world, { guest: 'web1', from: 'a', to: 'b', ...BALLOON });
      const { takenBytes = 0, leftBytes = 0 } = report.balloon ?? {};
      assert.ok(takenBytes > MIN && leftBytes >= 32 * MIB, JSON.stringify(report.balloon));
      assert.equal(report.leftovers, undefined);
      await untilWhole('b');
    });
  });

  test('a guest has its memory back after post-copy, too', async () => {
    await web1.unharmed('a', async () => {
      const request = { guest: 'web1', from: 'b', to: 'a', mode: 'postcopy', ...BALLOON } as const;
      const { finished, balloon } = await move(world, request);
      assert.equal(finished, 'postcopy');
      assert.ok((balloon?.takenBytes ?? 0) > MIN);
      await untilWhole('a');
    });
  });
});
