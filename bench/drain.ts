import { drain as planDrain } from '../src/planner/drain/drain.ts';
import { DrainWorld, NOISE, type Scene } from '../sim/fleet/drain-world.ts';
import { Random } from '../sim/random.ts';
import { onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { CappedDirector, SchedulerDirector, type EtaEstimate } from './drain-directors.ts';
import { bestOfAll } from './drain-orders.ts';
import { SCENES, type DrainScene } from './drain-scenes.ts';
import { largePlan } from './drain-large.ts';

export const drain: Bench = {
  name: 'drain',
  summary: 'drains by the scheduler against fixed caps, on a simulator of shared links',
  run: (options) => Promise.resolve(measure(options)),
};

const RUNS = 5;
const CAPS = [1, 2, 4, 8] as const;
const PARTS = ['scenes', 'orders', 'speed'] as const;
/** Of a drain's time, from here on its ETA counts. */
const ETA_FROM = 0.1;
const P90 = 0.9;

/** One scene in one weather: all seconds. */
interface Round {
  readonly ours: number;
  readonly caps: readonly number[];
  /** Caps with the scheduler's own destinations, in its order. */
  readonly capsOurs: readonly number[];
  readonly bound: number;
  readonly errors: readonly number[];
  readonly within: readonly boolean[];
}

function measure(options: BenchOptions): Measure[] {
  const only = onlyOf(options, PARTS) ?? PARTS;
  return [
    ...(only.includes('scenes') ? scenes(options) : []),
    ...(only.includes('orders') ? bestOfAll(options) : []),
    ...(only.includes('speed') ? largePlan(options) : []),
  ];
}

function scenes({ say, signal, runs = RUNS }: BenchOptions): Measure[] {
  const all: { scene: DrainScene; rounds: Round[] }[] = [];
  for (const scene of SCENES) {
    const rounds = Array.from({ length: runs }, (_, run) => {
      signal.throwIfAborted();
      return roundOf(scene, 1000 + run);
    });
    all.push({ scene, rounds });
    say(lineOf(scene, rounds));
  }
  return [...all.flatMap(({ scene, rounds }) => measuresOf(scene, rounds)), ...summary(all)];
}

function roundOf(scene: Scene, seed: number): Round {
  const world = (): DrainWorld => new DrainWorld(scene, new Random(seed), NOISE);
  const ours = new SchedulerDirector();
  const ended = world().run(ours);
  const first = planDrain(
    { hosts: scene.hosts, guests: scene.guests },
    { hosts: scene.drained, parallel: 64, perHost: 64, trunks: scene.trunks },
  );
  const to = new Map(first.timetable.map((each) => [each.guest, each.to]));
  const counted = ours.said.filter(
    ({ at }) => at >= ended.seconds * ETA_FROM && at < ended.seconds,
  );
  if (ended.overBytes > 0) throw new Error(`${scene.name}: memory over by ${ended.overBytes}`);
  return {
    ours: ended.seconds,
    caps: CAPS.map((cap) => world().run(new CappedDirector(cap)).seconds),
    capsOurs: CAPS.map((cap) => world().run(new CappedDirector(cap, to)).seconds),
    bound: boundOf(scene, world().steady),
    errors: counted.map((said) => errorOf(said, ended.seconds)),
    within: counted.map(
      ({ at, low, high }) => at + low <= ended.seconds && ended.seconds <= at + high,
    ),
  };
}

/** Of the whole drain: how far the end that was said lies from the end that came. */
const errorOf = ({ at, left }: EtaEstimate, end: number): number => Math.abs(at + left - end) / end;

/**
 * No schedule is shorter: all used pages once, out of each host that is emptied, and out of all of a site's that are
 * into its other hosts and over its trunks together.
 */
function boundOf(scene: Scene, carries: ReadonlyMap<string, number>): number {
  const used = (names: readonly string[]): number =>
    scene.guests
      .filter(({ host }) => names.includes(host))
      .reduce((sum, { usedBytes = 0 }) => sum + usedBytes, 0);
  const out = scene.drained.map((name) => used([name]) / (carries.get(`out ${name}`) ?? Infinity));
  const sites = Map.groupBy(scene.hosts, ({ site }) => site ?? '');
  const cuts = [...sites].map(([site, hosts]) => {
    const names = hosts.map(({ name }) => name);
    const into = names
      .filter((name) => !scene.drained.includes(name))
      .reduce((sum, name) => sum + (carries.get(`in ${name}`) ?? 0), 0);
    const trunks = [...carries]
      .filter(([pipe]) => pipe.startsWith(`trunk ${site} `))
      .reduce((sum, [, bytes]) => sum + bytes, 0);
    const leaving = used(names.filter((name) => scene.drained.includes(name)));
    return leaving === 0 ? 0 : leaving / (into + trunks);
  });
  return Math.max(...out, ...cuts);
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function p90(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * P90))] ?? 0;
}

const toCap2 = ({ ours, caps }: Round): number => ours / (caps[1] ?? Infinity);
const toBest = ({ ours, caps }: Round): number => ours / Math.min(...caps);
const toBestOurs = ({ ours, capsOurs }: Round): number => ours / Math.min(...capsOurs);
const toBound = ({ ours, bound }: Round): number => ours / bound;

function lineOf({ name }: Scene, rounds: readonly Round[]): string {
  const caps = CAPS.map(
    (cap, place) => `${cap}: ${mean(rounds.map(({ caps: each }) => each[place] ?? 0)).toFixed(0)}`,
  );
  return `${name}: ${mean(rounds.map(({ ours }) => ours)).toFixed(0)} s; caps ${caps.join(', ')} s; bound ${mean(rounds.map(({ bound }) => bound)).toFixed(0)} s; to cap 2 ${mean(rounds.map(toCap2)).toFixed(2)}, to the best cap ${mean(rounds.map(toBest)).toFixed(2)} (with our destinations ${mean(rounds.map(toBestOurs)).toFixed(2)}), to the bound ${mean(rounds.map(toBound)).toFixed(2)}; ETA p90 ${(100 * p90(rounds.flatMap(({ errors }) => errors))).toFixed(1)} %`;
}

function measuresOf(scene: DrainScene, rounds: readonly Round[]): Measure[] {
  const runs = rounds.length;
  const { name, uneven } = scene;
  const x = (what: string, value: (round: Round) => number, atMost?: number): Measure => ({
    name: `${name}: ${what}, mean`,
    value: mean(rounds.map(value)),
    unit: 'x',
    runs,
    ...(atMost === undefined ? {} : { target: { atMost } }),
  });
  return [
    // Where one link out is full by any two moves, nobody is sooner: reported, not judged.
    x('total to a cap of 2', toCap2, uneven ? 0.75 : undefined),
    x('total to the best cap of 1, 2, 4, 8', toBest, 1),
    x('the same with our destinations', toBestOurs),
    x('total to the bound', toBound, 1.25),
  ];
}

function summary(all: readonly { rounds: readonly Round[] }[]): Measure[] {
  const rounds = all.flatMap((each) => each.rounds);
  const errors = rounds.flatMap((round) => round.errors);
  const within = rounds.flatMap((round) => round.within);
  const runs = rounds.length;
  return [
    {
      name: 'total to the best cap, worst of all runs',
      value: Math.max(...rounds.map(toBest)),
      unit: 'x',
      runs,
      target: { atMost: 1 },
    },
    {
      name: 'ETA error from 10 % on, p90',
      value: 100 * p90(errors),
      unit: '%',
      runs: errors.length,
      target: { atMost: 15 },
    },
    {
      name: 'outcomes within the range of 80 %',
      value: (100 * within.filter(Boolean).length) / within.length,
      unit: '%',
      runs: within.length,
    },
  ];
}
