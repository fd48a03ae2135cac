import { CONSOLIDATE, consolidate, type ConsolidateOptions } from '../src/planner/consolidate.ts';
import { usualOf } from '../src/planner/forecast/usual.ts';
import type { Inventory } from '../src/planner/inventory.ts';
import { guestTypeOf, HOST_TYPES } from './cloudsim/machines.ts';
import { decideBy } from './cloudsim/own-policy.ts';
import { placeAtStart } from './cloudsim/reallocate.ts';
import { START_S, TICK_S, World } from './cloudsim/world.ts';
import { madeLoads, type MadeLoad } from './seasonal.ts';
import { Random } from '../sim/random.ts';
import type { BenchOptions, Measure } from './contract.ts';
import { CONTESTS } from './planner-policies.ts';

const GUESTS = 150;
const HOSTS = 150;
const DAYS = 21;
/** Of which nothing is counted: the guests’ days are learnt. */
const LEARNT = 7;
const HOUR = 12;
const DAY = 24 * HOUR;
const SEEDS = [1, 2, 3];
/** Hosts keep more room in place of looking ahead, so that both cost the same energy or nearly so. */
const ROOMIER = 2.5;

interface Weeks {
  readonly kwh: number;
  readonly moves: number;
  readonly wakes: number;
  readonly unserved: number;
}

/** What knowing the guests’ days brings to `consolidate`, on made weeks: the recorded days are single ones. */
export function daysContest({ say, signal }: BenchOptions): Measure[] {
  const blind: ConsolidateOptions = {
    ...CONSOLIDATE,
    estimate: { ...(CONSOLIDATE.estimate ?? fail()), byDays: false },
  };
  const rules: Readonly<Record<string, ConsolidateOptions>> = {
    'by days': CONSOLIDATE,
    'without days': blind,
    'without days, more room': roomier(blind),
  };
  const all = new Map<string, Weeks[]>();
  for (const seed of SEEDS) {
    const random = new Random(seed);
    const loads = madeLoads(GUESTS, DAYS, () => random.next());
    for (const [name, options] of Object.entries(rules)) {
      signal.throwIfAborted();
      const done = weeks(loads, options);
      all.set(name, [...(all.get(name) ?? []), done]);
      say(
        `seed ${seed}, ${name}: ${done.kwh.toFixed(0)} kWh, ${done.moves} moves, ${done.wakes} wakes, unserved ${(100 * done.unserved).toFixed(4)} %`,
      );
    }
  }
  return [...all].flatMap(([name, runs]): Measure[] => {
    const mean = (value: (each: Weeks) => number): number =>
      runs.reduce((sum, each) => sum + value(each), 0) / runs.length;
    const measure = (figure: string, unit: string, value: (each: Weeks) => number): Measure => ({
      name: `days, ${name}: ${figure}`,
      value: mean(value),
      unit,
      runs: runs.length,
    });
    return [
      measure('energy', 'kWh', ({ kwh }) => kwh),
      measure('moves', 'moves', ({ moves }) => moves),
      measure('wakes', 'wakes', ({ wakes }) => wakes),
      measure('unserved', '%', ({ unserved }) => 100 * unserved),
    ];
  });
}

const fail = (): never => {
  throw new Error('the policy has no estimate of its own');
};

function roomier(options: ConsolidateOptions): ConsolidateOptions {
  const more = ({ z, share }: ConsolidateOptions['fill']) => ({ z: z * ROOMIER, share });
  const { fill, relieve, relieved, empty } = options;
  return {
    ...options,
    fill: more(fill),
    relieve: more(relieve),
    relieved: more(relieved),
    empty: more(empty),
  };
}

/** What the weeks after those that are learnt from come to. */
function weeks(loads: readonly MadeLoad[], options: ConsolidateOptions): Weeks {
  const world = worldOf(loads);
  const usual = new Usual(loads);
  let tick = 0;
  const decide = decideBy((inventory) => consolidate(usual.known(inventory, tick), options));
  let before = figuresOf(world);
  for (let time = START_S + TICK_S; time < DAYS * DAY * TICK_S; time += TICK_S) {
    world.arrive(time);
    world.look(time);
    tick += 1;
    if (tick === LEARNT * DAY) before = figuresOf(world);
    world.start(decide(world));
  }
  const after = figuresOf(world);
  return {
    kwh: after.kwh - before.kwh,
    moves: after.moves - before.moves,
    wakes: after.wakes - before.wakes,
    unserved: (after.lost - before.lost) / (after.asked - before.asked),
  };
}

function worldOf(loads: readonly MadeLoad[]): World {
  const types = Array.from({ length: HOSTS }, (_none, at) => HOST_TYPES[at % HOST_TYPES.length]);
  const guests = loads.map(({ name, samples }, at) => ({
    name,
    type: guestTypeOf(at, GUESTS),
    samples: Float64Array.from([...samples, samples.at(-1) ?? 0]),
  }));
  const known = types.filter((type) => type !== undefined);
  const world = new World(known, guests, CONTESTS.real.rules);
  placeAtStart(world, 'power');
  return world;
}

function figuresOf(world: World) {
  const { asked, given } = world.tally.totals();
  const { moves, wakes } = world;
  return { kwh: world.kwh(), moves, wakes, asked, lost: asked - given };
}

/** What the controller keeps: the mean of each hour, seven days back. */
class Usual {
  readonly #hours = new Map<number, Map<string, number>>();
  readonly #loads: readonly MadeLoad[];

  constructor(loads: readonly MadeLoad[]) {
    this.#loads = loads;
  }

  /** At most what the hours before `tick` report. */
  known(inventory: Inventory, tick: number): Inventory {
    const next = Math.floor(tick / HOUR) + 1;
    const days = [1, 2, 3, 4, 5, 6, 7].map((day) => next - day * 24).filter((hour) => hour >= 0);
    const usual = usualOf(days.map((hour) => this.#hour(hour)));
    const guests = inventory.guests.map((guest) => {
      const soon = usual.get(guest.name);
      return soon === undefined ? guest : { ...guest, soon: soon * guest.cpu };
    });
    return { ...inventory, guests };
  }

  #hour(hour: number): Map<string, number> {
    const known = this.#hours.get(hour);
    if (known !== undefined) return known;
    const means = new Map(
      this.#loads.map(({ name, samples }) => {
        const within = samples.slice(hour * HOUR, (hour + 1) * HOUR);
        return [name, within.reduce((sum, each) => sum + each, 0) / HOUR];
      }),
    );
    this.#hours.set(hour, means);
    return means;
  }
}
