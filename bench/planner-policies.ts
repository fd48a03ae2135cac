import {
  CONSOLIDATE,
  CONSOLIDATE_TIGHT,
  consolidate,
  type ConsolidateOptions,
} from '../src/planner/consolidate.ts';
import { runExperiment, type Outcome, type Policy, type Trace } from './cloudsim/experiment.ts';
import { decideBy } from './cloudsim/own-policy.ts';
import type { WorldRules } from './cloudsim/world.ts';
import type { Measure } from './contract.ts';
import { policyCalled } from './planner-reference.ts';

/** One set of rules, and the bounds that hold under it, as ratios to LR-MMT of the same day and run. */
interface Contest {
  readonly name: string;
  readonly rules: WorldRules;
  readonly options: ConsolidateOptions;
  readonly bounds: Readonly<Partial<Record<Figure, number>>>;
}

const FIGURES = {
  energy: ({ kwh }: Outcome) => kwh,
  moves: ({ moves }: Outcome) => moves,
  SLAV: ({ slav }: Outcome) => slav,
  'unserved demand': ({ unserved }: Outcome) => unserved,
  'unserved without moves': ({ unservedByOverload }: Outcome) => unservedByOverload,
  'overload time': ({ overTime }: Outcome) => overTime,
  wakes: ({ wakes }: Outcome) => wakes,
} as const;

type Figure = keyof typeof FIGURES;
const NAMES = Object.keys(FIGURES) as Figure[];

export const CONTESTS: Readonly<Record<'ours' | 'real', Contest>> = {
  ours: {
    name: 'reference rules',
    rules: {},
    options: CONSOLIDATE_TIGHT,
    bounds: {
      energy: 0.65,
      moves: 0.08,
      SLAV: 0.08,
      'unserved demand': 0.42,
      'overload time': 1,
      wakes: 0.1,
    },
  },
  real: {
    name: 'guests kept, 64 GB',
    rules: { guestsKept: true, hostMemoryMb: 65_536, bootSeconds: 150 },
    options: CONSOLIDATE,
    bounds: { energy: 0.6, moves: 0.05, 'unserved demand': 0.25, wakes: 0.1 },
  },
};

/** The outcomes of one day: ours, LR-MMT and THR-MMT under the same rules, from the same start. */
interface Day {
  readonly day: string;
  readonly own: Outcome;
  readonly lr: Outcome;
  readonly thr: Outcome;
}

export function runDay(day: string, traces: readonly Trace[], { rules, options }: Contest): Day {
  const run = (policy: Policy | undefined): Outcome => {
    if (policy === undefined) throw new Error('no such policy');
    return runExperiment({ traces, policy, rules });
  };
  return {
    day,
    own: run({ policy: 'own', decide: decideBy((inventory) => consolidate(inventory, options)) }),
    lr: run(policyCalled('lr_mmt_1.2')),
    thr: run(policyCalled('thr_mmt_0.8')),
  };
}

/** One line of a day: each figure as it is, and as a ratio to LR-MMT. */
export function lineOf({ day, own, lr, thr }: Day, { name }: Contest): string {
  const figures = NAMES.map((figure) => {
    const value = FIGURES[figure];
    const text = `${shown(value(own))} of ${shown(value(lr))}`;
    return `${figure} ${text} (${ratio(value(own), value(lr)).toFixed(3)})`;
  });
  return `${day}, ${name}: ${figures.join('; ')}; THR-MMT ${thr.kwh.toFixed(1)} kWh, ${thr.moves} moves, unserved ${shown(thr.unserved)}; memory over by ${own.memoryOverMb} MB`;
}

const shown = (value: number): string => Number(value.toPrecision(4)).toString();

/** Nothing of nothing is as good as it. */
const ratio = (own: number, theirs: number): number =>
  theirs === 0 ? (own === 0 ? 1 : Infinity) : own / theirs;

export function measuresOf(days: readonly Day[], { name, bounds }: Contest): Measure[] {
  const mean = (value: (day: Day) => number): number =>
    days.reduce((sum, day) => sum + value(day), 0) / days.length;
  const runs = days.length;
  const ratios = NAMES.map((figure): Measure => {
    const value = FIGURES[figure];
    const atMost = bounds[figure];
    return {
      name: `${name}: ${figure}, mean of LR-MMT`,
      value: mean(({ own, lr }) => ratio(value(own), value(lr))),
      unit: 'x',
      runs,
      ...(atMost === undefined ? {} : { target: { atMost } }),
    };
  });
  return [
    ...ratios,
    {
      name: `${name}: energy, mean`,
      value: mean(({ own }) => own.kwh),
      unit: 'kWh',
      runs,
    },
    {
      name: `${name}: unserved demand, mean of THR-MMT`,
      value: mean(({ own, thr }) => ratio(own.unserved, thr.unserved)),
      unit: 'x',
      runs,
    },
    {
      name: `${name}: memory over what hosts have, worst`,
      value: Math.max(...days.map(({ own }) => own.memoryOverMb)),
      unit: 'MB',
      runs,
      target: { atMost: 0 },
    },
  ];
}
