import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CappedDirector, SchedulerDirector } from '../../../bench/drain-directors.ts';
import { CALM, DrainWorld, type Scene } from '../../../sim/fleet/drain-world.ts';
import { ratesOf } from '../../../sim/fleet/pipes.ts';
import { Precopy } from '../../../sim/fleet/precopy.ts';
import { Random } from '../../../sim/random.ts';
import { GIB, guest, host } from '../../planner/inventories.ts';

const GBIT = 125e6;

const scene: Scene = {
  name: 'small',
  hosts: [
    host('a', { linkBytesPerSecond: 2 * GBIT }),
    host('big', { linkBytesPerSecond: GBIT / 4, memoryBytes: 512 * GIB }),
    host('fast', { linkBytesPerSecond: 2 * GBIT, memoryBytes: 128 * GIB }),
  ],
  guests: Array.from({ length: 8 }, (_, at) => guest(`g${at}`, 'a', { cpu: 0.5, demand: [0.1] })),
  trunks: [],
  drained: ['a'],
};

test('streams fill the pipes by their weights, and none exceeds its ceiling', () => {
  const stream = (pipes: string[], weight = 1, ceiling = 1e9) => ({ pipes, weight, ceiling });
  const carries = new Map([
    ['out', 90e6],
    ['in', 10e6],
  ]);
  const rates = ratesOf(
    [stream(['out', 'in']), stream(['out'], 2), stream(['out'], 1, 20e6)],
    carries,
  );
  assert.deepEqual(
    rates.map((rate) => Math.round(rate / 1e6)),
    [10, 60, 20],
  );
});

test('a writing guest is sent again, round by round, and one that writes too much is throttled', () => {
  const ends = (dirtyBytesPerSecond: number): { seconds: number; rounds: number } => {
    const move = new Precopy({
      usedBytes: 10 * GBIT,
      dirtyBytesPerSecond,
      workingSetBytes: 10 * GBIT,
      leadSeconds: 2,
      tailSeconds: 1,
    });
    let seconds = 0;
    while (!move.ended && seconds < 1e5) {
      const step = move.until(GBIT);
      move.advance(step, GBIT);
      seconds += step;
    }
    return { seconds, rounds: move.rounds };
  };
  assert.ok(Math.abs(ends(0).seconds - 13) < 1e-3);
  assert.ok(ends(GBIT / 10).seconds > 13.5 && ends(GBIT / 10).rounds > 2);
  assert.ok(ends(GBIT * 2).seconds > 40 && ends(GBIT * 2).seconds < 1e5);
});

test('a seed repeats its drain, and another seed gives another', () => {
  const seconds = (seed: number): number =>
    new DrainWorld(scene, new Random(seed)).run(new CappedDirector(2)).seconds;
  assert.equal(seconds(1), seconds(1));
  assert.notEqual(seconds(1), seconds(2));
});

test('the guests and the weather are the same for every scheduler, in whatever order guests move', () => {
  const guests = scene.guests.map((each, at) => ({ ...each, usedBytes: (at + 1) * 0.4 * GIB }));
  const names = guests.map(({ name }) => name);
  const sent = [names, names.toReversed()].map((order) => {
    const to = new Map(order.map((name) => [name, 'fast']));
    const world = new DrainWorld({ ...scene, guests }, new Random(3), { ...CALM, used: 0.1 });
    return Math.round(world.run(new CappedDirector(1, to)).sentBytes);
  });
  assert.equal(sent[0], sent[1]);
});

test('the scheduler is faster than a fixed cap based on free memory, and never overfills a host', () => {
  const run = (director: SchedulerDirector | CappedDirector) =>
    new DrainWorld(scene, new Random(7), CALM).run(director);
  const planned = new SchedulerDirector();
  const ours = run(planned);
  assert.equal(ours.overBytes, 0);
  assert.ok(ours.seconds <= 0.75 * run(new CappedDirector(2)).seconds);
  // Where the world is as it was said to be, so is the end.
  const [first] = planned.said;
  assert.ok(Math.abs((first?.left ?? 0) - ours.seconds) < 0.1 * ours.seconds);
});
