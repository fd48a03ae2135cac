import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { startGuest } from '../../lab/guest/start.ts';
import { insight } from '../../src/protocol/controller/history.ts';
import type { RequestTimes } from '../../src/protocol/disk.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { until } from '../until.ts';
import { godwit } from './support/cli.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { askGuestQemu } from './support/monitors.ts';
import { begin, follow, move, reportAtEnd } from './support/moves.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;
/** So slow that the copy lasts longer than it takes the guest to write often enough, also on a busy machine. */
const CAP = { maxBandwidth: 4 * MIB };
/** Writes that are to be seen while the disks are copied. */
const ENOUGH = 40;
/** What somebody else than Godwit has QEMU count by, ns: a quarter more each. */
const THEIRS = Array.from({ length: 70 }, (_, step) => Math.round(5000 * 1.25 ** step));

const histogram = z.object({ boundaries: z.array(z.number()), bins: z.array(z.number()) });
const answer = z.array(
  z.object({
    qdev: z.string().optional(),
    stats: z.object({
      wr_operations: z.number(),
      wr_total_time_ns: z.number(),
      wr_latency_histogram: histogram.optional(),
    }),
  }),
);
type Stats = z.infer<typeof answer>[number]['stats'];

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

describe('the latency of requests to copied disks', () => {
  let world: World;

  before(async () => {
    world = await openWorld('lat', { hosts: 2, storage: 'local' });
    const disk = { bytes: 128 * MIB, thin: false, filledBytes: 112 * MIB };
    await startGuest(world.lab, {
      ...SMALL_GUEST,
      host: 'a',
      name: 'db1',
      disks: [disk, disk],
      kernelWords: FEW_PLACES,
    });
    const { id } = await seen('a', 'disk0');
    const set = { id, boundaries: THEIRS };
    await askGuestQemu(world, 'db1', 'a', 'block-latency-histogram-set', set);
  });
  after(() => world?.close());

  /** What its QEMU says over a monitor that Godwit does not use. */
  async function seen(host: string, disk: string): Promise<{ id: string; stats: Stats }> {
    const found = answer.parse(await askGuestQemu(world, 'db1', host, 'query-blockstats'));
    const { qdev: id = '', stats } =
      found.find(({ qdev = '' }) => qdev.includes(`/${disk}-dev/`)) ?? assert.fail(disk);
    return { id, stats };
  }

  /** Before and during the copy. */
  function writesOf({ diskLatency = [] }: Report, disk: string): RequestTimes[] {
    const found = diskLatency.find(({ node }) => node === `${disk}-dev-image`);
    const [before, during] = [found?.before?.writes, found?.during?.writes];
    if (before === undefined || during === undefined) assert.fail(JSON.stringify(diskLatency));
    return [before, during];
  }

  test("the percentiles of the latency match QEMU's counts meanwhile, and nothing of the counting is left", async (t) => {
    const disks = ['disk0', 'disk1'];
    const first = await Promise.all(disks.map((disk) => seen('a', disk)));
    const id = await begin(world, { ...CAP, guest: 'db1', from: 'a', to: 'b' });
    await follow(world, 'a', id, ({ phase, disks: copies = [] }) => {
      return phase === 'disks' && copies.some(({ copiedBytes }) => copiedBytes > 0);
    });
    const from = await Promise.all(disks.map((disk) => seen('a', disk)));
    const to = await until('the guest to write during the copy', 60_000, async () => {
      const now = await Promise.all(disks.map((disk) => seen('a', disk)));
      const wrote = now.map(({ stats }, at) => stats.wr_operations - opsOf(from[at]));
      return wrote.every((ops) => ops >= ENOUGH) ? now : undefined;
    });
    await world.agent('a').cancel({ params: { id } });
    const report = await reportAtEnd(world, 'a', id);
    assert.equal(report.outcome, 'cancelled');
    const last = await Promise.all(disks.map((disk) => seen('a', disk)));
    for (const [at, disk] of disks.entries()) {
      const [was, during] = writesOf(report, disk);
      t.diagnostic(`${disk}: ${JSON.stringify({ was, during })}`);
      assert.ok(was !== undefined && during !== undefined);
      const { stats } = last[at] ?? assert.fail(disk);
      const { stats: at0 } = first[at] ?? assert.fail(disk);
      assert.ok(was.count + during.count <= stats.wr_operations - at0.wr_operations);
      assertHolds(during, binsBetween(from[at], to[at]));
      // Half of them took at least as long as the lower end of the median's bin, a quarter below.
      const tookMs = (stats.wr_total_time_ns - at0.wr_total_time_ns) / 1e6;
      assert.ok(((during.p50Ms ?? 0) / 1.26) * (during.count / 2) <= tookMs, `${tookMs} ms in all`);
    }
    const left = last.map(({ stats }) => stats.wr_latency_histogram?.boundaries);
    assert.deepEqual(left, [THEIRS, undefined]);
  });

  test('the latency is in a plan, which counts only as long as it runs, and in the report of the move after it', async () => {
    const { prediction, advice } = await world.agent('a').plan({ body: { guest: 'db1', to: 'b' } });
    assert.ok(prediction?.diskLatency !== undefined && prediction.disks !== undefined);
    const { diskLatency: expected, disks: copy } = prediction;
    // Of each disk 112 MiB of random bytes.
    const { bytes, ms } = copy;
    assert.ok(bytes.low >= 2 * 112 * MIB && bytes.middle < 4 * 128 * MIB, JSON.stringify(bytes));
    assert.ok(ms.low > 0 && ms.middle < prediction.totalMs.middle, JSON.stringify(ms));
    assert.doesNotMatch(advice.join('\n'), /its disks are copied first/);
    for (const disk of ['disk0', 'disk1']) {
      const found = expected.find(({ node }) => node === `${disk}-dev-image`);
      const { count } = found?.now.writes ?? assert.fail(disk);
      // What earlier moves came to may lead it far from what is so now.
      assert.equal(found?.writes.p50Ms !== undefined, count >= 20, JSON.stringify(found));
    }
    const left = await Promise.all(['disk0', 'disk1'].map((disk) => seen('a', disk)));
    const boundaries = left.map(({ stats }) => stats.wr_latency_histogram?.boundaries);
    assert.deepEqual(boundaries, [THEIRS, undefined]);
    const report = await move(world, { guest: 'db1', from: 'a', to: 'b' });
    assert.deepEqual(report.prediction?.diskLatency, expected);
    for (const disk of ['disk0', 'disk1']) {
      const [, during] = writesOf(report, disk);
      assert.ok((during?.p50Ms ?? 0) > 0, JSON.stringify(report.diskLatency));
      assert.equal((await seen('b', disk)).stats.wr_latency_histogram, undefined);
    }
    const shown = await godwit(world, 'report', report.id);
    assert.match(shown.out, /^copy of disks +\d.* to .*(yes|no)$/m);
    assert.match(shown.out, /^total time +\d.* to .*(yes|no)$/m);
    // Both hosts know of it: it counts once, and each of its disks where enough requests were counted.
    const { exit, out } = await godwit(world, 'stats', '--json');
    const scores = insight.parse(JSON.parse(out));
    assert.equal(exit, 0, out);
    assert.equal(scores.predictions.find(({ of }) => of === 'totalMs')?.count, 1, out);
    assert.equal(scores.diskPredictions?.find(({ of }) => of === 'diskMs')?.count, 1, out);
    assert.match((await godwit(world, 'stats', '--prediction')).out, /^copy of disks +1 /m);
  });
});

const opsOf = (found: { stats: Stats } | undefined): number => found?.stats.wr_operations ?? 0;

function binsBetween(from: { stats: Stats } | undefined, to: { stats: Stats } | undefined) {
  const [was, is] = [from, to].map((each) => each?.stats.wr_latency_histogram ?? assert.fail());
  assert.ok(was !== undefined && is !== undefined);
  assert.deepEqual(is.boundaries, was.boundaries);
  return { boundaries: is.boundaries, bins: is.bins.map((bin, at) => bin - (was.bins[at] ?? 0)) };
}

/**
 * What is told was counted a little longer than what was `looked` at. A percentile of the longer while lies between two
 * order statistics of the shorter one that are as far apart as there are requests in one and not in the other.
 */
function assertHolds(
  told: RequestTimes,
  { boundaries, bins }: { boundaries: readonly number[]; bins: readonly number[] },
): void {
  const looked = sum(bins);
  const more = told.count - looked;
  assert.ok(looked >= ENOUGH && more >= 0, `${told.count} told, ${looked} seen`);
  /** The upper end of the bin of the request of this rank, from 1 on. */
  const at = (rank: number): number => {
    if (rank < 1) return 0;
    const bin = bins.findIndex((_bin, index) => sum(bins.slice(0, index + 1)) >= rank);
    return (bin === -1 ? undefined : boundaries[bin]) ?? Number.POSITIVE_INFINITY;
  };
  for (const [share, ms = assert.fail()] of [
    [0.5, told.p50Ms],
    [0.99, told.p99Ms],
  ] as const) {
    const rank = Math.ceil(told.count * share);
    const words = `p${share * 100} of ${ms} ms, ${more} of ${told.count} not seen: ${bins.join()}`;
    assert.ok(at(rank - more) <= ms * 1e6 && ms * 1e6 <= at(rank), words);
  }
}
