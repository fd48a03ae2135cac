import { BALANCE, type BalanceOptions } from '../src/planner/balance-options.ts';
import { balance } from '../src/planner/balance.ts';
import type { Trace } from './cloudsim/experiment.ts';
import { guestTypeOf, HOST_TYPES } from './cloudsim/machines.ts';
import { decideBy } from './cloudsim/own-policy.ts';
import type { Decide } from './cloudsim/reallocate.ts';
import { START_S, TICK_S, World } from './cloudsim/world.ts';
import { RIVALS } from './planner-balance-rivals.ts';
import type { BenchOptions, Measure } from './contract.ts';
import { dataDirectory, daysOf, readDay } from './planner-data.ts';

/** Of what all hosts have, what the guests ask for in the day's mean: so full that each rule meets contention. */
const MEAN_LOAD = 0.6;
const HOST_MEMORY_MB = 65_536;
const FLAP_S = 2 * 3600;

export interface BalanceDay {
  /** Host-hours in which the guests of a host asked for more than it has. */
  readonly contention: number;
  /** Of what was asked, what was not given, moves left out. */
  readonly unserved: number;
  /** What was asked and not given, moves counted too, MIPS x s. */
  readonly lost: number;
  readonly moves: number;
  /** Moves back to where the guest was less than two hours before. */
  readonly flaps: number;
  /** Of the moves per guest: the 99th of 100. */
  readonly perGuest: number;
  readonly hosts: number;
}

/** One day on hosts that stay on: guests are dealt out one by one at the start, whatever they ask for. */
export function balanceDay(
  traces: readonly Trace[],
  decide: Decide | undefined,
  meanLoad = MEAN_LOAD,
): BalanceDay {
  const world = worldOf(traces, meanLoad);
  const moves = new Map<string, { from: string; at: number }[]>();
  let flaps = 0;
  const last = (traces[0]?.loads.length ?? 0) * TICK_S;
  for (let time = START_S + TICK_S; time < last; time += TICK_S) {
    world.arrive(time);
    world.look(time);
    const chosen = (decide?.(world) ?? []).filter(
      ({ guest, to }) => !guest.moving && guest.host !== to,
    );
    for (const { guest, to } of chosen) {
      const past = moves.get(guest.name) ?? [];
      const target = String(to.index);
      if (past.some(({ from, at }) => from === target && world.now - at < FLAP_S)) flaps += 1;
      moves.set(guest.name, [...past, { from: String(guest.host?.index), at: world.now }]);
    }
    world.start(chosen);
  }
  world.arrive(last);
  const totals = world.tally.totals();
  const counts = world.guests
    .map(({ name }) => moves.get(name)?.length ?? 0)
    .toSorted((left, right) => left - right);
  return {
    contention: totals.overSeconds / 3600,
    unserved: totals.lostByOverload / totals.asked,
    lost: totals.lostByOverload + totals.lostByMoves,
    moves: world.moves,
    flaps,
    perGuest: counts[Math.floor(counts.length * 0.99)] ?? 0,
    hosts: world.hosts.length,
  };
}

function worldOf(traces: readonly Trace[], meanLoad: number): World {
  const guests = traces.map(({ name, loads }, index) => ({
    name,
    type: guestTypeOf(index, traces.length),
    samples: Float64Array.from([...loads, loads.at(-1) ?? 0]),
  }));
  const asked = guests.reduce(
    (sum, { type, samples }) =>
      sum + (type.mips * samples.reduce((total, load) => total + load, 0)) / samples.length,
    0,
  );
  const types: (typeof HOST_TYPES)[number][] = [];
  for (let room = 0; room < asked / meanLoad;) {
    const type = HOST_TYPES[types.length % HOST_TYPES.length];
    if (type === undefined) break;
    types.push(type);
    room += type.cores * type.coreMips;
  }
  const world = new World(types, guests, { guestsKept: true, hostMemoryMb: HOST_MEMORY_MB });
  for (const [index, guest] of world.guests.entries()) {
    const host = world.hosts[index % world.hosts.length];
    if (host !== undefined) world.put(guest, host);
  }
  return world;
}

export const decideByBalance = (options: BalanceOptions = BALANCE): Decide =>
  decideBy((inventory) => balance(inventory, options));

/** Ours and each rival on each day, and the bounds. */
export function balanceContest({ say, signal, words }: BenchOptions): Measure[] {
  const directory = dataDirectory(words?.data);
  if (directory === undefined) throw new Error('no recorded days: say where with --data DIR');
  const rules: Readonly<Record<string, () => Decide | undefined>> = {
    nobody: () => undefined,
    ours: () => decideByBalance(),
    ...RIVALS,
  };
  const all = new Map<string, BalanceDay[]>();
  const days = daysOf(directory);
  for (const { day, file } of days) {
    const traces = readDay(file);
    for (const [name, rule] of Object.entries(rules)) {
      signal.throwIfAborted();
      const done = balanceDay(traces, rule());
      all.set(name, [...(all.get(name) ?? []), done]);
      say(lineOf(day, name, done));
    }
  }
  return measuresOf(all, days.length);
}

const lineOf = (day: string, name: string, done: BalanceDay): string =>
  `${day}, ${name}, ${done.hosts} hosts: contention ${done.contention.toFixed(1)} host-hours, unserved ${(100 * done.unserved).toFixed(3)} %, ${done.moves} moves, back within 2 h ${done.flaps}, per guest p99 ${done.perGuest}`;

function measuresOf(all: ReadonlyMap<string, BalanceDay[]>, runs: number): Measure[] {
  const mean = (name: string, value: (day: BalanceDay) => number): number => {
    const days = all.get(name) ?? [];
    return days.reduce((sum, day) => sum + value(day), 0) / days.length;
  };
  const contention = (name: string): number => mean(name, (day) => day.contention);
  const moves = (name: string): number => mean(name, (day) => day.moves);
  const rivals = Object.keys(RIVALS);
  const best = rivals.reduce((left, right) =>
    contention(right) < contention(left) ? right : left,
  );
  const ours = all.get('ours') ?? [];
  return [
    ...['nobody', 'ours', ...rivals].flatMap((name): Measure[] => [
      {
        name: `balance, ${name}: contention, mean`,
        value: contention(name),
        unit: 'host-hours',
        runs,
      },
      { name: `balance, ${name}: moves, mean`, value: moves(name), unit: 'moves', runs },
      {
        name: `balance, ${name}: unserved, mean`,
        value: 100 * mean(name, (day) => day.unserved),
        unit: '%',
        runs,
      },
      {
        name: `balance, ${name}: back within 2 h`,
        value: mean(name, (day) => day.flaps),
        unit: 'moves',
        runs,
      },
    ]),
    {
      name: `balance: contention to the best rule (${best})`,
      value: contention('ours') / contention(best),
      unit: 'x',
      runs,
      target: { atMost: 0.5 },
    },
    {
      name: `balance: moves to the best rule (${best})`,
      value: moves('ours') / moves(best),
      unit: 'x',
      runs,
      target: { atMost: 0.3 },
    },
    {
      name: 'balance: moves back within 2 h',
      value: Math.max(...ours.map(({ flaps }) => flaps)),
      unit: 'moves',
      runs,
      target: { atMost: 0 },
    },
    {
      name: 'balance: moves per guest and day, p99',
      value: Math.max(...ours.map(({ perGuest }) => perGuest)),
      unit: 'moves',
      runs,
      target: { atMost: 1 },
    },
  ];
}
