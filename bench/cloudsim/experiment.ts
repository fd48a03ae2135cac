import { guestTypeOf, HOST_COUNT, HOST_TYPES, wattsAt } from './machines.ts';
import { overloadBy, type OverloadRule } from './overload.ts';
import { placeAtStart, reallocateBy, type Decide } from './reallocate.ts';
import {
  leastLoad,
  leastMemory,
  mostCorrelated,
  random,
  type Draw,
  type Selection,
} from './selection.ts';
import { START_S, TICK_S, World, type WorldRules } from './world.ts';

const DAY_S = 24 * 60 * 60;

/** A guest's load, one value per 300 s, 0 to 1. */
export interface Trace {
  readonly name: string;
  readonly loads: readonly number[];
}

export type SelectionRule = 'mmt' | 'mu' | 'mc' | 'rs';

/** Who decides: nobody, with hosts at full power (`npa`) or at the power of their load (`dvfs`), a rule, or a policy. */
export type Policy =
  | { readonly policy: 'npa' | 'dvfs' }
  | {
      readonly policy: 'reference';
      readonly overload: OverloadRule;
      readonly selection: SelectionRule;
    }
  | { readonly policy: 'own'; readonly decide: Decide };

export interface Outcome {
  readonly kwh: number;
  readonly moves: number;
  /** Shares, 0 to 1: PDM, SLATAH and their product as the reference has them. */
  readonly lostByMoves: number;
  readonly shortTime: number;
  readonly slav: number;
  /** Of what was asked, what was not given, whatever the reason. */
  readonly unserved: number;
  /** The part of `unserved` that is not of moves. */
  readonly unservedByOverload: number;
  readonly meanMissed: number;
  /** The share of active time in which those that live on a host ask for more than it has. */
  readonly overTime: number;
  readonly shutdowns: number;
  readonly wakes: number;
  /** 0 where memory is not honoured. */
  readonly memoryOverMb: number;
  readonly activeHostHours: number;
}

export interface ExperimentOptions {
  readonly traces: readonly Trace[];
  readonly policy: Policy;
  readonly rules?: WorldRules;
  readonly hosts?: number;
  /** For the random selection alone. */
  readonly draw?: Draw;
}

/** One day. Throws where a guest fits nowhere at the start. */
export function runExperiment(options: ExperimentOptions): Outcome {
  const { traces, policy, rules = {}, hosts = HOST_COUNT } = options;
  const types = Array.from(
    { length: hosts },
    (_, index) => HOST_TYPES[index % HOST_TYPES.length] ?? HOST_TYPES[0],
  ).filter((type) => type !== undefined);
  const world = new World(
    types,
    traces.map(({ name, loads }, index) => ({
      name,
      type: guestTypeOf(index, traces.length),
      samples: Float64Array.from([...loads, loads.at(-1) ?? 0]),
    })),
    rules,
  );
  placeAtStart(world, policy.policy === 'npa' || policy.policy === 'dvfs' ? 'first' : 'power');
  const decide = decider(policy, options.draw);
  const last = Math.min(DAY_S, (traces[0]?.loads.length ?? 0) * TICK_S);
  for (let time = START_S + TICK_S; time < last; time += TICK_S) {
    world.arrive(time);
    world.look(time);
    if (decide !== undefined) world.start(decide(world));
  }
  world.arrive(last);
  return outcomeOf(world, policy);
}

function decider(policy: Policy, draw: Draw | undefined): Decide | undefined {
  if (policy.policy === 'own') return policy.decide;
  if (policy.policy !== 'reference') return undefined;
  return reallocateBy(overloadBy(policy.overload), selectionBy(policy.selection, draw));
}

function selectionBy(rule: SelectionRule, draw: Draw | undefined): Selection {
  switch (rule) {
    case 'mmt':
      return leastMemory;
    case 'mu':
      return leastLoad;
    case 'mc':
      return mostCorrelated;
    case 'rs':
      if (draw === undefined) throw new RangeError('a random selection needs numbers to draw');
      return random(draw);
  }
}

function outcomeOf(world: World, policy: Policy): Outcome {
  const totals = world.tally.totals();
  const lostByMoves = totals.lostByMoves / totals.asked;
  const shortTime = totals.shortSeconds / totals.activeSeconds;
  const full = world.hosts.reduce((sum, { type }) => sum + wattsAt(type, 1), 0);
  return {
    kwh: policy.policy === 'npa' ? (full * world.now) / 3.6e6 : world.kwh(),
    moves: world.moves,
    lostByMoves,
    shortTime,
    slav: lostByMoves * shortTime,
    unserved: (totals.asked - totals.given) / totals.asked,
    unservedByOverload: totals.lostByOverload / totals.asked,
    meanMissed: totals.meanMissed,
    overTime: totals.overSeconds / totals.activeSeconds,
    shutdowns: totals.shutdowns,
    wakes: world.wakes,
    memoryOverMb: world.memoryOverMb,
    activeHostHours: totals.activeSeconds / 3600,
  };
}
