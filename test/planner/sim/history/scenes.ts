import fc from 'fast-check';
import { RETURN_S } from '../../../../src/planner/constraints.ts';
import type { Plan } from '../../../../src/planner/inventory.ts';
import type { History, RecordedGuest } from '../../../../src/planner/sim/history/history.ts';
import { troubled } from '../../../../src/planner/sim/history/trouble.ts';
import type { World } from '../../../../src/planner/sim/history/world.ts';
import { seeded } from '../../../../src/planner/sim/seeded.ts';
import { broken, GIB } from '../../inventories.ts';

export interface SceneOptions {
  readonly seed: number;
  readonly hosts: number;
  readonly guests: number;
  readonly ticks: number;
  /** What guests ask for on average, as a part of their size; and how far they swing. */
  readonly level: number;
  readonly swing: number;
  /** How many times the trouble of usual weeks. */
  readonly trouble: number;
}

/** Guests dealt out on hosts, with groups that must be apart; a third come later and a third go earlier where there is trouble. */
export function sceneOf(options: SceneOptions): History {
  const random = seeded(options.seed);
  const hosts = Array.from({ length: options.hosts }, (_, at) => ({
    name: `h${at}`,
    cpu: random() < 0.5 ? 8 : 16,
    coreCpu: 1,
    memoryBytes: (random() < 0.5 ? 32 : 64) * GIB,
    on: true,
    watts: [100, 200],
    linkBytesPerSecond: random() < 0.5 ? 125e6 : 1.25e9,
  }));
  const free = new Map(hosts.map(({ name, memoryBytes }) => [name, memoryBytes]));
  const groups = new Set<string>();
  const guests = Array.from({ length: options.guests }, (_, at): RecordedGuest[] => {
    const host = hosts[Math.floor(random() * hosts.length)];
    const memoryBytes = (1 + Math.floor(random() * 8)) * GIB;
    const cores = random() < 0.5 ? 2 : 4;
    const group = random() < 0.4 ? `group${Math.floor(random() * 4)}` : undefined;
    const load = loadOf(options, cores, random);
    const [comes, goes] = [random(), random()];
    if (host === undefined || (free.get(host.name) ?? 0) < memoryBytes) return [];
    if (group !== undefined && groups.has(`${group} ${host.name}`)) return [];
    if (group !== undefined) groups.add(`${group} ${host.name}`);
    free.set(host.name, (free.get(host.name) ?? 0) - memoryBytes);
    const seconds = options.ticks * 300;
    return [
      {
        name: `g${at}`,
        host: host.name,
        cores,
        memoryBytes,
        load,
        recorded: [],
        dirtyBytesPerSecond: random() * 150e6,
        ...(group === undefined ? {} : { apart: group }),
        ...(options.trouble > 0 && comes < 0.3 ? { startsAt: comes * seconds } : {}),
        ...(options.trouble > 0 && goes > 0.7 ? { stopsAt: goes * seconds } : {}),
      },
    ];
  }).flat();
  const calm = { hosts, guests, ticks: options.ticks };
  return options.trouble > 0 ? troubled(calm, options.seed, options.trouble) : calm;
}

function loadOf({ ticks, level, swing }: SceneOptions, cores: number, random: () => number) {
  const own = level * (0.5 + random());
  const shift = random() * 288;
  const day = random() < 0.5 ? 0.5 : 0;
  return Float64Array.from({ length: ticks }, (_, tick) => {
    const wave = day * own * Math.sin(((tick + shift) / 288) * 2 * Math.PI);
    const noise = swing * (random() + random() - 1);
    return cores * Math.min(1, Math.max(0, own + wave + noise));
  });
}

export const scenes: fc.Arbitrary<SceneOptions> = fc.record({
  seed: fc.nat(1_000_000),
  hosts: fc.integer({ min: 1, max: 6 }),
  guests: fc.integer({ min: 0, max: 40 }),
  ticks: fc.integer({ min: 30, max: 150 }),
  level: fc.constantFrom(0.2, 0.4, 0.6, 0.8),
  swing: fc.constantFrom(0, 0.1, 0.3),
  trouble: fc.constantFrom(0, 5, 20, 80),
});

/** Watches a world: what a policy may never do, and what may never be, as lines. */
export class Watch {
  readonly problems: string[] = [];
  moves = 0;

  readonly watch = (world: World, begun: boolean, { moves }: Pick<Plan, 'moves'>): void => {
    this.#crowded(world);
    if (begun) return;
    this.moves += moves.length;
    const inventory = world.inventory();
    for (const problem of broken(inventory, { moves })) this.#say(world, problem);
    for (const { guest: name, to, reason } of moves) {
      const guest = inventory.guests.find((each) => each.name === name);
      const target = world.hosts.get(to);
      const newest = guest?.demand[0] ?? Number.NaN;
      if (target?.failed === true || target?.silent === true || target?.draining === true) {
        this.#say(world, `${name} is to go to ${to}, which may take nobody`);
      }
      if (reason === 'drain') continue;
      if (!(newest >= 0 && newest <= (guest?.cpu ?? 0) * 1.01)) {
        this.#say(world, `${name} moves by a sample of ${newest}`);
      }
      const back = guest?.left?.some((past) => past.host === to && past.secondsAgo < RETURN_S);
      if (back === true) this.#say(world, `${name} goes back to ${to} within two hours`);
    }
  };

  #crowded(world: World): void {
    for (const { host } of world.hosts.values()) {
      const there = world.guestsOn(host.name);
      const held = there.reduce((sum, { recorded }) => sum + recorded.memoryBytes, 0);
      if (held > host.memoryBytes) this.#say(world, `${host.name} has too little memory`);
      const groups = there.flatMap(({ recorded }) => recorded.apart ?? []);
      if (new Set(groups).size < groups.length) this.#say(world, `${host.name}: not apart`);
    }
  }

  #say(world: World, problem: string): void {
    if (this.problems.length < 20) this.problems.push(`${world.now} s: ${problem}`);
  }
}
