import { BALANCE, type BalanceOptions } from '../src/planner/balance-options.ts';
import { CONSOLIDATE, consolidate, type ConsolidateOptions } from '../src/planner/consolidate.ts';
import { runExperiment, type Trace } from './cloudsim/experiment.ts';
import { decideBy } from './cloudsim/own-policy.ts';
import type { BenchOptions, Measure } from './contract.ts';
import { balanceDay, decideByBalance } from './planner-balance.ts';
import { dataDirectory, daysOf, readDay } from './planner-data.ts';
import { CONTESTS } from './planner-policies.ts';

const flat = (share: number) => ({ z: 0, share });

/** Each part of `consolidate`, taken away. */
const CONSOLIDATIONS: Readonly<Record<string, Partial<ConsolidateOptions>>> = {
  whole: {},
  'without room for swings': {
    fill: flat(1),
    relieve: flat(1),
    relieved: flat(1),
    empty: flat(1),
  },
  'without emptying hosts': { tries: 0 },
  'without what a move counts': { perMove: 0 },
  'without a regard for power': { thrift: 0 },
  'with hosts emptied by what is asked for just now': {
    empty: { ...CONSOLIDATE.empty, lasting: false },
  },
  'by the newest sample alone': {
    estimate: { newest: 1, swing: 0.078, swingWeight: 4, samples: 24 },
  },
  'by the long mean alone': { estimate: { newest: 0, swing: 0.078, swingWeight: 4, samples: 24 } },
};

/** Each part of `balance`, taken away. */
const BALANCES: Readonly<Record<string, Partial<BalanceOptions>>> = {
  whole: {},
  'without swaps': { swapPairs: 0 },
  'without a residence': { residenceSeconds: 0 },
  'by the newest sample mostly': {
    estimate: { newest: 0.6, swing: 0.08, swingWeight: 4, samples: 30 },
  },
  'by the last half hour': { estimate: { newest: 0, swing: 0.08, swingWeight: 4, samples: 6 } },
  'without an assumed swing': { estimate: { newest: 0, swing: 0, swingWeight: 0, samples: 30 } },
};

/** So full that on many looks no host has room for a guest. */
const FULL = 0.8;

/** Parts of `balance` that count where hosts are full. */
const ON_FULL_HOSTS: Readonly<Record<string, Partial<BalanceOptions>>> = {
  'on full hosts, whole': {},
  'on full hosts, without swaps': { swapPairs: 0 },
};

/** What each part of a policy brings: the same days without it. */
export function ablations({ say, signal, words }: BenchOptions): Measure[] {
  const directory = dataDirectory(words?.data);
  if (directory === undefined) throw new Error('no recorded days: say where with --data DIR');
  const days = daysOf(directory).map(({ file }) => readDay(file));
  const mean = (figures: readonly number[]): number =>
    figures.reduce((sum, each) => sum + each, 0) / figures.length;
  const measures: Measure[] = [];
  const add = (name: string, all: readonly Record<string, readonly [number, string]>[]): void => {
    const figures = Object.entries(all[0] ?? {}).map(([figure, [, unit]]): Measure => ({
      name: `${name}: ${figure}`,
      value: mean(all.map((each) => each[figure]?.[0] ?? Number.NaN)),
      unit,
      runs: all.length,
    }));
    measures.push(...figures);
    say(figures.map((each) => `${each.name} ${each.value.toPrecision(4)} ${each.unit}`).join('; '));
  };
  for (const [name, change] of Object.entries(CONSOLIDATIONS)) {
    signal.throwIfAborted();
    add(
      `consolidate ${name}`,
      days.map((traces) => consolidated(traces, { ...CONSOLIDATE, ...change })),
    );
  }
  for (const [name, change] of Object.entries(BALANCES)) {
    signal.throwIfAborted();
    add(
      `balance ${name}`,
      days.map((traces) => balanced(traces, { ...BALANCE, ...change })),
    );
  }
  for (const [name, change] of Object.entries(ON_FULL_HOSTS)) {
    signal.throwIfAborted();
    add(
      `balance ${name}`,
      days.map((traces) => balanced(traces, { ...BALANCE, ...change }, FULL)),
    );
  }
  return measures;
}

type Figures = Record<string, readonly [number, string]>;

function consolidated(traces: readonly Trace[], options: ConsolidateOptions): Figures {
  const { rules } = CONTESTS.real;
  const decide = decideBy((inventory) => consolidate(inventory, options));
  const done = runExperiment({ traces, policy: { policy: 'own', decide }, rules });
  return {
    energy: [done.kwh, 'kWh'],
    moves: [done.moves, 'moves'],
    unserved: [100 * done.unserved, '%'],
    wakes: [done.wakes, 'wakes'],
  };
}

function balanced(traces: readonly Trace[], options: BalanceOptions, meanLoad?: number): Figures {
  const done = balanceDay(traces, decideByBalance(options), meanLoad);
  return {
    contention: [done.contention, 'host-hours'],
    moves: [done.moves, 'moves'],
    unserved: [100 * done.unserved, '%'],
    'back within 2 h': [done.flaps, 'moves'],
    'per guest and day, p99': [done.perGuest, 'moves'],
  };
}
