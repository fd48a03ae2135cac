import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { fillMemory, verifyGuest } from '../../lab/guest/talk.ts';
import { planAnswer, type PlanAnswer } from '../../src/protocol/public/plan.ts';
import { directionOf, move, type Move } from './support/moves.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const MEMORY = 384 * MIB;
/** Written and given back: free pages that are not zeros. */
const GIVEN_BACK = 192 * MIB;
/** Slow enough that the guest names its free pages before they have been sent. */
const CAPPED = { maxBandwidth: 24 * MIB } as const;
/** What hints spare of that at least: they are of whole blocks of 4 MiB alone. */
const SPARED = 64 * MIB;
/** Pre-copy by each way. At the higher rate more is gone before the hints come; how much depends on the machine. */
const WAYS = [
  { way: 'one stream', asked: {}, spares: SPARED },
  { way: 'one stream, 200 MiB/s', asked: { maxBandwidth: 200 * MIB }, spares: 0 },
  { way: 'four streams', asked: { streams: 4 }, spares: SPARED },
  { way: 'the wire', asked: { path: 'wire' }, spares: SPARED },
] as const;

/** One of two guests that are alike but for the balloon device: it asks for hints of free pages, or does not. */
type Guest = 'hints' | 'silent';

describe('a guest with free page hints', () => {
  let world: World;

  before(async () => {
    world = await openWorld('hints', { hosts: 2 });
    for (const name of ['hints', 'silent'] as const) {
      const of = { name, host: 'a', memoryBytes: MEMORY, workingSetBytes: 16 * MIB };
      await startGuest(world.lab, { ...of, freePageHint: name === 'hints' });
    }
  });
  after(() => world?.close());

  async function plan(guest: Guest, asked: Partial<Move> = {}): Promise<PlanAnswer> {
    const { from, to } = await directionOf(world, guest);
    const body = { guest, to, ...CAPPED, ...asked };
    const answer = await world.agent(from).plan({ body }, { deadlineMs: 60_000 });
    return planAnswer.parse(answer);
  }

  /**
   * What of its memory goes over the link, with free pages that hold something; the guest's own sums are right after it. What
   * it says is in bench/results/prediction.md.
   */
  async function sent(t: TestContext, guest: Guest, asked: Partial<Move> = {}): Promise<number> {
    await fillMemory(world.lab, guest, GIVEN_BACK);
    const way = await directionOf(world, guest);
    const { bytes = 0, totalMs } = await move(world, { guest, ...way, ...CAPPED, ...asked });
    const { ok } = await verifyGuest(world.lab, guest);
    assert.ok(ok, `the memory of ${guest} is not what it was`);
    const took = `${Math.round(bytes / MIB)} MiB in ${(totalMs / 1000).toFixed(1)} s`;
    t.diagnostic(`${guest}, ${JSON.stringify(asked)}: ${took}`);
    return bytes;
  }

  test('a guest no longer sends free pages in pre-copy, in both directions, on each path', async (t) => {
    const whole = await sent(t, 'silent');
    assert.ok(whole > GIVEN_BACK, String(whole));
    for (const { way, asked, spares } of WAYS) {
      const spared = whole - (await sent(t, 'hints', asked));
      assert.ok(spared > spares, `${spared} bytes spared of ${whole} by ${way}`);
    }
  });

  test('a guest sends free pages all the same if post-copy may follow: QEMU requests no hints then', async (t) => {
    assert.ok((await sent(t, 'hints', { mode: 'hybrid' })) > GIVEN_BACK);
  });

  test('the check reports the hints, and the plan leaves out the free pages', async () => {
    const checkOf = ({ host }: PlanAnswer) => host.checks.find(({ name }) => name === 'free-pages');
    await fillMemory(world.lab, 'hints', GIVEN_BACK);
    const [precopy, hybrid] = [await plan('hints'), await plan('hints', { mode: 'hybrid' })];
    assert.match(checkOf(precopy)?.evidence ?? '', /those are not sent/);
    assert.match(checkOf(hybrid)?.evidence ?? '', /with --mode hybrid .* are sent/);
    assert.ok((precopy.measured?.hintedFreeBytes ?? 0) > GIVEN_BACK / 2);
    const [less, all] = [precopy, hybrid].map(({ prediction }) => prediction?.bytes.middle ?? 0);
    assert.ok(all! - less! > SPARED, `${less} of ${all}`);
    const silent = await plan('silent');
    assert.deepEqual([checkOf(silent), silent.measured?.hintedFreeBytes], [undefined, undefined]);
  });
});
