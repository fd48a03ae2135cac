import { consolidate } from '../src/planner/consolidate.ts';
import { drain } from '../src/planner/drain.ts';
import type { Inventory, PlannerGuest } from '../src/planner/inventory.ts';
import { place } from '../src/planner/place.ts';
import { bestSchedule, totalSeconds } from '../src/planner/schedule.ts';
import type { Links, Transfer } from '../src/planner/schedule.ts';
import { Random } from '../sim/random.ts';
import { median } from './contract.ts';
import type { BenchOptions, Measure } from './contract.ts';

const GIB = 1024 ** 3;
const SEED = 20_261_122;
const RUNS = 5;
const SMALL = 9;
const LARGE = 10_000;

/** A fleet that a seed gives again: hosts of 16 cores and 256 GiB, ten guests each, a tenth of them busy. */
export function madeFleet(hosts: number, random: Random): Inventory {
  const guest = (index: number): PlannerGuest => {
    const cpu = random.pick([1, 2, 4]);
    const level = random.chance(0.1) ? 0.6 : 0.2;
    return {
      name: `g${index}`,
      host: `h${index % hosts}`,
      memoryBytes: random.pick([2, 4, 8, 16]) * GIB,
      cpu,
      demand: Array.from({ length: 30 }, () => cpu * random.between(level / 2, level * 1.5)),
      dirtyBytesPerSecond: random.pick([0, 1e6, 10e6, 40e6]),
    };
  };
  return {
    hosts: Array.from({ length: hosts }, (_, index) => ({
      name: `h${index}`,
      cpu: 16,
      coreCpu: 1,
      memoryBytes: 256 * GIB,
      watts: index % 2 === 0 ? [120, 320] : [140, 400],
      on: true,
    })),
    guests: Array.from({ length: hosts * 10 }, (_, index) => guest(index)),
  };
}

function millisecondsOf(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** How long plans take, and how near the best order a drain's comes. */
export function speed({ say, runs = RUNS }: BenchOptions): Measure[] {
  const random = new Random(SEED);
  const times = (work: () => unknown): number =>
    median(Array.from({ length: runs }, () => millisecondsOf(work)));
  const small = madeFleet(20, random);
  const host = small.hosts.map(({ name }) => name).slice(0, 10);
  const half = {
    ...small,
    guests: small.guests.map((each, at) => ({ ...each, host: `h${at % 10}` })),
  };
  const drained = times(() => drain(half, { hosts: host }));
  say(`a drain of ${half.guests.length} guests: ${drained.toFixed(0)} ms`);
  const large = madeFleet(LARGE, random);
  const first = millisecondsOf(() => consolidate(large));
  say(`the first plan of 10,000 hosts and 100,000 guests: ${first.toFixed(0)} ms`);
  const placed = times(() => place(large, { name: 'new', cpu: 4, memoryBytes: 8 * GIB }));
  const settled = times(() => consolidate(small));
  return [
    { name: 'drain of 200 guests', value: drained, unit: 'ms', runs, target: { atMost: 1000 } },
    {
      name: 'plan of 10,000 hosts, 100,000 guests',
      value: first,
      unit: 'ms',
      runs: 1,
      target: { atMost: 5000 },
    },
    { name: 'place in 10,000 hosts', value: placed, unit: 'ms', runs },
    { name: 'plan of 20 hosts, 200 guests', value: settled, unit: 'ms', runs },
    ...orders(random),
  ];
}

/** Nine guests in every order there is, against the order that is found. */
function orders(random: Random): Measure[] {
  const links: Links = {
    bytesPerSecond: (name) => (name === 't0' ? 60e6 : 125e6),
    parallel: 4,
    perHost: 2,
  };
  const transfers = Array.from({ length: SMALL }, (_, index): Transfer => ({
    from: `s${index % 2}`,
    to: `t${random.whole(0, 2)}`,
    memoryBytes: random.whole(1, 16) * GIB,
    dirtyBytesPerSecond: random.pick([0, 1e6, 10e6, 40e6]),
  }));
  let best = Infinity;
  permute(transfers, (order) => {
    for (const parallel of [1, 2, 4]) {
      best = Math.min(best, totalSeconds(order, { ...links, parallel }));
    }
  });
  const found = bestSchedule(transfers, links).seconds;
  return [
    {
      name: `drain of ${SMALL} guests, to the best of all orders`,
      value: found / best,
      unit: 'x',
      runs: 1,
      target: { atMost: 1.1 },
    },
  ];
}

function permute<T>(all: T[], visit: (order: readonly T[]) => void, from = 0): void {
  if (from === all.length) return visit(all);
  for (let place = from; place < all.length; place += 1) {
    swap(all, from, place);
    permute(all, visit, from + 1);
    swap(all, from, place);
  }
}

function swap<T>(all: T[], one: number, other: number): void {
  const [left, right] = [all[one], all[other]];
  if (left === undefined || right === undefined) return;
  all[one] = right;
  all[other] = left;
}
