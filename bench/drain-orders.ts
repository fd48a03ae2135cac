import { bestSchedule } from '../src/planner/schedule.ts';
import { problemOf, secondsOf, type Links, type Transfer } from '../src/planner/timetable.ts';
import { Random } from '../sim/random.ts';
import type { BenchOptions, Measure } from './contract.ts';

const GIB = 1024 ** 3;
const SEED = 20_261_123;
/** Guests of each instance. */
const INSTANCES = [9, 8, 7, 7, 7, 7] as const;
const CAPS = [1, 2, 4] as const;
/** No gate but the cap. */
const OPEN = { fill: Infinity, ahead: 0 };

/** Every order of up to nine guests, at every cap, against the schedule that is found; the worst instance. */
export function bestOfAll({ say, signal }: BenchOptions): Measure[] {
  const random = new Random(SEED);
  let worst = 0;
  for (const count of INSTANCES) {
    signal.throwIfAborted();
    const transfers = Array.from({ length: count }, (): Transfer => ({
      from: `s${random.whole(0, 1)}`,
      to: `t${random.whole(0, 2)}`,
      memoryBytes: random.whole(1, 16) * GIB,
      dirtyBytesPerSecond: random.pick([0, 1e6, 10e6, 40e6]),
    }));
    const links: Links = {
      bytesPerSecond: (name) => (name === 't0' ? 60e6 : 125e6),
      parallel: 8,
      out: 8,
      in: 8,
    };
    let best = Infinity;
    for (const parallel of CAPS) {
      const problem = problemOf(transfers, { ...links, parallel });
      permute([...transfers.keys()], (order) => {
        best = Math.min(best, secondsOf(problem, order, OPEN));
      });
    }
    const found = bestSchedule(problemOf(transfers, links)).seconds;
    say(`${count} guests: ${found.toFixed(1)} s, the best order ${best.toFixed(1)} s`);
    worst = Math.max(worst, found / best);
  }
  return [
    {
      name: 'up to 9 guests, to the best of all orders, worst',
      value: worst,
      unit: 'x',
      runs: INSTANCES.length,
      target: { atMost: 1.1 },
    },
  ];
}

function permute(all: number[], visit: (order: readonly number[]) => void, from = 0): void {
  if (from === all.length) return visit(all);
  for (let place = from; place < all.length; place += 1) {
    swap(all, from, place);
    permute(all, visit, from + 1);
    swap(all, from, place);
  }
}

function swap(all: number[], one: number, other: number): void {
  const [left = 0, right = 0] = [all[one], all[other]];
  all[one] = right;
  all[other] = left;
}
