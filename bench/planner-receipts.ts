import { BALANCE } from '../src/planner/balance-options.ts';
import { balance } from '../src/planner/balance.ts';
import type { PlannedMove } from '../src/planner/inventory.ts';
import type { Trace } from './cloudsim/experiment.ts';
import { decideBy } from './cloudsim/own-policy.ts';
import type { Decide } from './cloudsim/reallocate.ts';
import type { BenchOptions, Measure } from './contract.ts';
import { balanceDay } from './planner-balance.ts';
import { dataDirectory, daysOf, readDay } from './planner-data.ts';

/** A move of the day, and what the plan expected of it, MIPS x s. */
interface ExpectedMove {
  readonly at: number;
  readonly guest: string;
  readonly to: string;
  readonly expected: number;
}

/** What one move was expected to bring, and what it brought: what the day loses more without it. MIPS x s. */
export interface Receipt {
  readonly expected: number;
  readonly realised: number;
}

/** The moves that balance makes on a day, and what that day loses, MIPS x s. */
function movesOf(traces: readonly Trace[]): { made: ExpectedMove[]; lost: number } {
  const made: ExpectedMove[] = [];
  let planned: readonly PlannedMove[] = [];
  const decide = decideBy((inventory) => {
    const plan = balance(inventory, BALANCE);
    planned = plan.moves;
    return plan;
  });
  const { lost } = balanceDay(traces, (world) => {
    const chosen = decide(world);
    const expected = new Map(
      planned.map(({ guest, worth }) => [guest, worth === undefined ? 0 : worth.gain - worth.cost]),
    );
    for (const { guest, to } of chosen) {
      if (guest.moving || guest.host === to) continue;
      const { name } = guest;
      made.push({
        at: world.now,
        guest: name,
        to: String(to.index),
        expected: expected.get(name) ?? 0,
      });
    }
    return chosen;
  });
  return { made, lost };
}

/** The same moves at the same times, whatever comes of them. */
function replay(made: readonly ExpectedMove[]): Decide {
  const at = Map.groupBy(made, (each) => each.at);
  return (world) => {
    const due = at.get(world.now) ?? [];
    if (due.length === 0) return [];
    const guests = new Map(world.guests.map((guest) => [guest.name, guest]));
    return due.flatMap(({ guest: name, to: target }) => {
      const guest = guests.get(name);
      const to = world.hosts[Number(target)];
      return guest === undefined || to === undefined ? [] : [{ guest, to }];
    });
  };
}

/** A receipt for each move: the day is played again without it, all others as they were. */
export function receiptsOf(traces: readonly Trace[], signal: AbortSignal): Receipt[] {
  const { made, lost } = movesOf(traces);
  const whole = balanceDay(traces, replay(made)).lost;
  if (whole !== lost) throw new Error(`the day played again loses ${whole}, and it lost ${lost}`);
  return made.map((move) => {
    signal.throwIfAborted();
    const without = balanceDay(traces, replay(made.filter((each) => each !== move))).lost;
    return { expected: move.expected, realised: without - whole };
  });
}

/** Spearman's: of the ranks, ties at their mean. 1 for the same order, 0 for none. */
export function rankCorrelation(pairs: readonly Receipt[]): number {
  const left = ranks(pairs.map(({ expected }) => expected));
  const right = ranks(pairs.map(({ realised }) => realised));
  const mean = (pairs.length - 1) / 2;
  let both = 0;
  let one = 0;
  let other = 0;
  for (const [nth, rank] of left.entries()) {
    const a = rank - mean;
    const b = (right[nth] ?? 0) - mean;
    both += a * b;
    one += a * a;
    other += b * b;
  }
  return one === 0 || other === 0 ? 0 : both / Math.sqrt(one * other);
}

function ranks(values: readonly number[]): number[] {
  const order = values.map((value, nth) => ({ value, nth })).toSorted((a, b) => a.value - b.value);
  const result: number[] = [];
  for (let from = 0; from < order.length;) {
    let to = from;
    while (to + 1 < order.length && order[to + 1]?.value === order[from]?.value) to += 1;
    for (const { nth } of order.slice(from, to + 1)) result[nth] = (from + to) / 2;
    from = to + 1;
  }
  return result;
}

export function receipts({ say, signal, words }: BenchOptions): Measure[] {
  const directory = dataDirectory(words?.data);
  if (directory === undefined) throw new Error('no recorded days: say where with --data DIR');
  const days = daysOf(directory);
  const all = days.flatMap(({ day, file }) => {
    const done = receiptsOf(readDay(file), signal);
    say(
      `${day}: ${done.length} moves, ${(100 * goodOf(done)).toFixed(1)} % worth it, rank correlation ${rankCorrelation(done).toFixed(2)}`,
    );
    return done;
  });
  if (all.length === 0) throw new Error('nothing moved on these days: there is nothing to receipt');
  const runs = days.length;
  const saved = all.reduce((sum, { realised }) => sum + realised, 0);
  const expected = all.reduce((sum, each) => sum + each.expected, 0);
  return [
    {
      name: 'receipts: moves whose net benefit was positive',
      value: 100 * goodOf(all),
      unit: '%',
      runs,
      target: { atLeast: 80 },
    },
    {
      name: 'receipts: expected against realised, Spearman',
      value: rankCorrelation(all),
      unit: '',
      runs,
      target: { atLeast: 0.6 },
    },
    {
      name: 'receipts: realised of what was expected',
      value: saved / expected,
      unit: 'x',
      runs,
    },
  ];
}

const goodOf = (all: readonly Receipt[]): number =>
  all.filter(({ realised }) => realised > 0).length / all.length;
