import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test, type TestContext } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { startWatchedGuest, type WatchedGuest } from './support/client-view.ts';
import {
  assertSays,
  begin,
  follow,
  move,
  refusalOf,
  reportAtEnd,
  unlessForbidden,
  type Move,
} from './support/moves.ts';
import { killMover } from './support/movers.ts';
import { setPath } from './support/paths.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const WORKING_SET_BYTES = 48 * MIB;
/** Slow enough that what befalls the stream befalls it in its midst. */
const SLOW = { maxBandwidth: 6 * MIB } as const;
/** Takes longer than all of CUTS_MS leave it for. */
const LONG = { maxBandwidth: 3 * MIB, timeoutMs: 300_000, pathAddresses: [] };
const CUTS_MS = [1000, 4000, 10_000];

describe('a guest whose memory goes over the wire', () => {
  let world: World;
  let web1: WatchedGuest;

  before(async () => {
    world = await openWorld('wire', { hosts: 2, paths: 2 });
    web1 = await startWatchedGuest(world, {
      workingSetBytes: WORKING_SET_BYTES,
      dirtyBytesPerSecond: MIB,
    });
  });
  afterEach(async () => {
    for (const each of [0, 1]) await setPath(world, 'b', each, 'open');
  });
  after(() => world?.close());

  async function wayOfWeb1(): Promise<{ from: string; to: string }> {
    const { guests } = await world.agent('a').guests();
    const isOnA = guests.some(({ name }) => name === 'web1');
    return isOnA ? { from: 'a', to: 'b' } : { from: 'b', to: 'a' };
  }

  /** Moves it to the other host; `harm` is done while its memory is under way. It must arrive all the same. */
  async function moveThrough(
    request: Partial<Move>,
    harm: (id: string, way: { from: string; to: string }) => Promise<void> = async () => {},
  ): Promise<Report> {
    const way = await wayOfWeb1();
    let report: Report | undefined;
    await web1.unharmed(way.to, async () => {
      const id = await begin(world, { guest: 'web1', path: 'wire', ...way, ...request });
      const phase = request.mode === 'postcopy' ? 'draining' : 'memory';
      await follow(world, way.from, id, (line) => {
        return line.phase === phase && (line.sample?.transferredBytes ?? 0) > 2 * MIB;
      });
      await harm(id, way);
      report = await reportAtEnd(world, way.from, id);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    });
    await assertOnlyGuests(world, { [way.to]: ['web1'] });
    assert.ok(report?.wire !== undefined);
    return report;
  }

  /** How much of what is not zeros a plan finds in the cache of the other host. */
  async function knownThere(): Promise<number> {
    const { from, to } = await wayOfWeb1();
    const body = { guest: 'web1', to, path: 'wire' } as const;
    // A destination that is busy may not tell in time.
    for (let tries = 3; ; tries -= 1) {
      const { measured } = await world.agent(from).plan({ body }, { deadlineMs: 60_000 });
      const { known, zero = 0 } = measured?.mix ?? {};
      if (known !== undefined) return known.share / (1 - zero);
      assert.ok(tries > 1, JSON.stringify(measured));
    }
  }

  /** All of its memory has to travel again. */
  async function forget(): Promise<void> {
    for (const host of ['a', 'b']) await world.agent(host).pruneCache({ body: { bytes: 0 } });
  }

  async function cut(times: readonly number[]): Promise<void> {
    for (const ms of times) {
      await setPath(world, 'b', 0, 'black hole');
      await systemClock.sleep(ms);
      await setPath(world, 'b', 0, 'open');
      await systemClock.sleep(1500);
    }
  }

  // `auto` has the link measured between two busy agents, which see less than it carries.
  test('auto moves a guest natively over a fat link, and the report gives the reason', async () => {
    const way = await wayOfWeb1();
    const report = await move(world, { guest: 'web1', ...way, path: 'auto' });
    assert.equal(report.wire, undefined);
    assert.match(report.decisions[0]?.what ?? '', /native/);
  });

  test('auto moves a guest natively, compressed, over a link that is too thin for plain memory', async () => {
    // A host with more processors would take the wire for a guest that both caches know.
    await forget();
    const way = await wayOfWeb1();
    const asked = { ...way, path: 'auto', maxBandwidth: 125_000_000 } as const;
    const report = await move(world, { guest: 'web1', ...asked });
    assert.equal(report.wire, undefined);
    // The level hangs on how many processors there are.
    assert.equal(report.stream?.compress, 'zstd');
    assert.match(report.decisions[0]?.what ?? '', /native, zstd.* over 4 streams: /);
    const { bytes = Infinity, memoryBytes = 0 } = report;
    assert.ok(bytes < memoryBytes / 2, `${bytes} bytes`);
  });

  test('a guest moves by pre-copy, and comes back in a fraction of the bytes', async (t) => {
    const before = await knownThere();
    const there = await moveThrough(SLOW);
    const after = await knownThere();
    const back = await moveThrough(SLOW);
    t.diagnostic(`plans found ${before} of it known there, and ${after} on the way back`);
    assert.ok(before < 0.05 && after > 0.6, `${before}, then ${after}`);
    const [first, second] = [there.wire?.linkBytes ?? 0, back.wire?.linkBytes ?? 0];
    t.diagnostic(`${first} bytes there, ${second} back`);
    assert.ok(first > WORKING_SET_BYTES / 2 && first < (there.bytes ?? 0));
    assert.ok(second < first / 3, `${second} of ${first} bytes`);
  });

  test('a guest moves by post-copy', async (t) => {
    const report = await unlessForbidden(t, () => moveThrough({ mode: 'postcopy' }));
    if (report !== undefined) assert.equal(report.finished, 'postcopy');
  });

  test('a guest moves by pre-copy first and then by post-copy', async (t) => {
    await forget();
    const settings = { mode: 'hybrid', hybridRounds: 1, maxDowntimeMs: 1, ...SLOW } as const;
    const report = await unlessForbidden(t, () => moveThrough(settings));
    if (report !== undefined) assert.equal(report.finished, 'postcopy');
  });

  test('a guest is not affected by three cuts of its only link in pre-copy', async () => {
    await forget();
    const report = await moveThrough(LONG, () => cut(CUTS_MS));
    assertHidden(report);
  });

  test('a guest continues over the second link when the first dies for good in pre-copy', async () => {
    await forget();
    const { pathAddresses: _none, ...asked } = LONG;
    const report = await moveThrough(asked, () => setPath(world, 'b', 0, 'black hole'));
    assert.equal(report.wire?.sessions, 1);
    assert.equal(report.finished, 'precopy');
  });

  test('a guest is not affected by three cuts of its only link in post-copy, while its memory follows it', async (t) => {
    await forget();
    const report = await unlessForbidden(t, () =>
      moveThrough({ mode: 'postcopy', ...LONG }, () => cut(CUTS_MS)),
    );
    if (report !== undefined) assertHidden(report);
  });

  test('a guest continues in post-copy over a new session after a cut longer than its links may last', async (t) => {
    await forget();
    const asked = { mode: 'postcopy', ...LONG, linkGraceMs: 3000 } as const;
    const report = await unlessForbidden(t, () => moveThrough(asked, () => cut([9000])));
    if (report !== undefined) assert.ok((report.wire?.sessions ?? 0) > 1);
  });

  for (const killed of ['source', 'destination'] as const) {
    test(`a guest stays at its source when the mover of the ${killed} is killed in pre-copy`, async (t) => {
      await assertStays(t, async (id, way) => {
        await killMover(world, killed === 'source' ? way.from : way.to, id);
      });
    });

    test(`a guest continues in post-copy when the mover of the ${killed} is killed`, async (t) => {
      await forget();
      const report = await unlessForbidden(t, () =>
        moveThrough({ mode: 'postcopy', ...LONG }, async (id, way) => {
          await killMover(world, killed === 'source' ? way.from : way.to, id);
        }),
      );
      if (report !== undefined) assert.equal(report.finished, 'postcopy');
    });
  }

  test('a guest stays at its source when it is cancelled', async (t) => {
    await assertStays(t, async (id, { from }) => {
      const { accepted } = await world.agent(from).cancel({ params: { id } });
      assert.ok(accepted);
    });
  });

  test("the wire is refused together with several streams or QEMU's own compression", async () => {
    const way = await wayOfWeb1();
    const error = await refusalOf(world, { guest: 'web1', ...way, path: 'wire', streams: 4 });
    assertSays(error.toJSON(), 'GODWIT_CAPABILITY', '--path wire', '--streams 4');
    await assertOnlyGuests(world, { [way.from]: ['web1'] });
  });

  /** The move comes to nothing, and nobody can tell that it was tried. */
  async function assertStays(
    t: TestContext,
    harm: (id: string, way: { from: string; to: string }) => Promise<void>,
  ): Promise<void> {
    await forget();
    const way = await wayOfWeb1();
    await web1.unharmed(way.from, async () => {
      const request = { guest: 'web1', path: 'wire', ...way, ...LONG } as const;
      const id = await begin(world, request);
      await follow(world, way.from, id, ({ phase, sample }) => {
        return phase === 'memory' && (sample?.transferredBytes ?? 0) > 2 * MIB;
      });
      await harm(id, way);
      const report = await reportAtEnd(world, way.from, id);
      assert.notEqual(report.outcome, 'done');
      assert.equal(report.runsAt, 'source');
      t.diagnostic(`${report.outcome}: ${report.error?.message}`);
    });
    await assertOnlyGuests(world, { [way.from]: ['web1'] });
  }
});

/** One session carried it all, and the hypervisor’s stream was never resumed. */
function assertHidden({ wire, decisions }: Report): void {
  assert.equal(wire?.sessions, 1);
  // A link that is back within a second was never missed.
  assert.ok(wire.cuts >= CUTS_MS.length - 1, `${wire.cuts} cuts`);
  // Counted from when its connections are known to be dead.
  assert.ok(wire.longestCutMs >= 5000, `${wire.longestCutMs} ms`);
  assert.deepEqual(
    decisions.filter(({ what }) => /resumed|the wire ended/.test(what)),
    [],
  );
}
