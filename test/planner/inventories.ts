import fc from 'fast-check';
import { Fleet } from '../../src/planner/fleet.ts';
import type { Inventory, Plan, PlannerGuest, PlannerHost } from '../../src/planner/inventory.ts';

export const GIB = 1024 ** 3;

/** A host with 8 cores and 64 GiB, but for what is said. */
export const host = (name: string, more: Partial<PlannerHost> = {}): PlannerHost => ({
  name,
  cpu: 8,
  coreCpu: 1,
  memoryBytes: 64 * GIB,
  on: true,
  ...more,
});

/** A guest of 4 cores and 4 GiB that asks for 1 core all the time, but for what is said. */
export const guest = (
  name: string,
  on: string,
  more: Partial<PlannerGuest> = {},
): PlannerGuest => ({
  name,
  host: on,
  memoryBytes: 4 * GIB,
  cpu: 4,
  demand: [1, 1, 1, 1, 1, 1, 1, 1],
  ...more,
});

const few = (words: string[]): fc.Arbitrary<string[]> => fc.uniqueArray(fc.constantFrom(...words));

const hosts = fc
  .array(
    fc.record(
      {
        cpu: fc.constantFrom(4, 8, 16),
        coreCpu: fc.constantFrom(1, 2),
        memoryBytes: fc.integer({ min: 8, max: 64 }).map((gib) => gib * GIB),
        on: fc.boolean(),
        silent: fc.boolean(),
        draining: fc.boolean(),
        networks: few(['front', 'back']),
        processors: few(['old', 'new']),
        watts: fc.constantFrom([80, 120], [100, 150, 180]),
        site: fc.constantFrom('north', 'north', 'south'),
      },
      { requiredKeys: ['cpu', 'coreCpu', 'memoryBytes', 'on'] },
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((list) => list.map((each, index) => ({ ...each, name: `h${index}` })));

/** What a guest reports, nonsense included. */
const sample = fc.oneof(
  { weight: 12, arbitrary: fc.double({ min: 0, max: 4, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, -1, 1e9, Infinity) },
);

const guestsOn = (count: number): fc.Arbitrary<PlannerGuest[]> =>
  fc
    .array(
      fc.record(
        {
          host: fc.integer({ min: 0, max: count - 1 }).map((index) => `h${index}`),
          memoryBytes: fc.integer({ min: 1, max: 12 }).map((gib) => gib * GIB),
          cpu: fc.constantFrom(1, 2, 4),
          demand: fc.array(sample, { maxLength: 12 }),
          dirtyBytesPerSecond: fc.integer({ min: 0, max: 100_000_000 }),
          networks: few(['front', 'back']),
          processor: fc.constantFrom('old', 'new'),
          neverMove: fc.boolean(),
          moving: fc.boolean(),
          pinnedTo: few(['h0', 'h1', 'h2', 'h3']),
          apart: few(['db', 'web']),
          together: fc.constantFrom('pair', 'trio'),
          mayChangeSite: fc.boolean(),
        },
        { requiredKeys: ['host', 'memoryBytes', 'cpu', 'demand'] },
      ),
      { maxLength: 24 },
    )
    .map((list) => list.map((each, index) => ({ ...each, name: `g${index}` })));

export const inventories: fc.Arbitrary<Inventory> = hosts.chain((list) =>
  guestsOn(list.length).map((guests) => ({ hosts: list, guests })),
);

/** A field that few have. */
const rarely = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });

/** Without what is undefined. */
function given<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** Whole tenths: doubles as they are drawn lie near 0, and no host would have too much. */
const steady = fc
  .tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1, max: 30 }))
  .map(([tenths, length]) => Array.from({ length }, () => tenths / 10));
const swinging = fc.array(
  fc.integer({ min: 0, max: 30 }).map((tenths) => tenths / 10),
  { minLength: 1, maxLength: 30 },
);

const livelyHost = fc.record({
  cpu: fc.constantFrom(8, 16),
  memoryBytes: fc.integer({ min: 16, max: 64 }).map((gib) => gib * GIB),
  on: fc.integer({ min: 0, max: 7 }).map((of) => of > 0),
  silent: rarely(fc.constant(true)),
  draining: rarely(fc.constant(true)),
  kept: rarely(fc.constant(true)),
  networks: rarely(few(['front', 'back'])),
  processors: rarely(few(['old', 'new'])),
  watts: fc.constantFrom([80, 120], [100, 150, 180]),
});

const livelyGuest = fc.record({
  at: fc.nat(5),
  memoryBytes: fc.integer({ min: 1, max: 8 }).map((gib) => gib * GIB),
  demand: fc.oneof(steady, swinging),
  soon: rarely(fc.constantFrom(3, Number.NaN)),
  neverMove: rarely(fc.constant(true)),
  moving: rarely(fc.constant(true)),
  networks: rarely(few(['front', 'back'])),
  processor: rarely(fc.constantFrom('old', 'new')),
  pinnedTo: rarely(few(['h0', 'h1', 'h2', 'h3'])),
  apart: rarely(few(['db', 'web'])),
  together: rarely(fc.constantFrom('pair', 'trio')),
});

/** Fleets in which guests can move: some hosts have too much, some can be spared, and some have owners who say something. */
export const lively: fc.Arbitrary<Inventory> = fc
  .record({
    hosts: fc.array(livelyHost, { minLength: 2, maxLength: 6 }),
    guests: fc.array(livelyGuest, { minLength: 1, maxLength: 24 }),
  })
  .map((made) => ({
    hosts: made.hosts.map((each, at) => host(`h${at}`, given(each))),
    guests: made.guests.map(({ at, ...each }, nth) =>
      guest(`g${nth}`, `h${at % made.hosts.length}`, given(each)),
    ),
  }));

/**
 * Every constraint that a plan breaks, as lines; none for a good plan. Memory and `apart` count at any moment and in
 * any order: a guest that moves is on both hosts until all have moved.
 */
export function broken(
  { hosts: all, guests }: Inventory,
  { moves }: Pick<Plan, 'moves'>,
): string[] {
  const problems: string[] = [];
  const moved = new Set<string>();
  for (const { guest: name, from, to } of moves) {
    const each = guests.find((other) => other.name === name);
    const target = all.find((other) => other.name === to);
    const source = all.find((other) => other.name === from);
    if (each === undefined || target === undefined || source === undefined) {
      problems.push(`${name}: unknown`);
      continue;
    }
    if (moved.has(name)) problems.push(`${name}: moves twice`);
    moved.add(name);
    if (each.host !== from || from === to) problems.push(`${name}: from ${from} to ${to}`);
    if (each.neverMove === true) problems.push(`${name}: never moves`);
    if (each.moving === true) problems.push(`${name}: moves already`);
    if (source.silent === true || target.silent === true) problems.push(`${name}: silent host`);
    if (each.mayChangeSite !== true && source.site !== target.site) {
      problems.push(`${name}: to another site`);
    }
    if (target.draining === true) problems.push(`${name}: to a draining host`);
    if (each.pinnedTo?.includes(to) === false) problems.push(`${name}: pinned`);
    if (each.processor !== undefined && target.processors?.includes(each.processor) === false) {
      problems.push(`${name}: processor`);
    }
    if (each.networks?.some((network) => target.networks?.includes(network) === false) === true) {
      problems.push(`${name}: network`);
    }
  }
  return [...problems, ...crowded({ hosts: all, guests }, moves)];
}

function crowded({ hosts: all, guests }: Inventory, moves: Plan['moves']): string[] {
  return all.flatMap(({ name, memoryBytes }) => {
    const here = guests.filter((each) => each.host === name || each.movingTo === name);
    const coming = moves
      .filter(({ to }) => to === name)
      .flatMap((move) => guests.filter((each) => each.name === move.guest));
    const present = [...here, ...coming];
    if (coming.length === 0) return [];
    const held = present.reduce((sum, each) => sum + each.memoryBytes, 0);
    const problems = held > memoryBytes ? [`${name}: memory`] : [];
    for (const { name: newcomer, apart = [] } of coming) {
      const others = present.filter((each) => each.name !== newcomer);
      if (others.some((each) => each.apart?.some((group) => apart.includes(group)))) {
        problems.push(`${name}: ${newcomer} must be apart`);
      }
    }
    return problems;
  });
}

/** Groups that were on one host and are not any longer. */
export function parted({ guests }: Inventory, { moves }: Plan): string[] {
  const after = new Map(guests.map((each) => [each.name, each.host]));
  for (const { guest: name, to } of moves) after.set(name, to);
  return ['pair', 'trio'].filter((group) => {
    const members = guests.filter(({ together }) => together === group);
    const before = new Set(members.map((each) => each.host));
    return before.size === 1 && new Set(members.map(({ name }) => after.get(name))).size > 1;
  });
}

/** What is asked for beyond what hosts have once all moves are done, in cores. */
export function beyond({ hosts: all, guests }: Inventory, { moves }: Plan): number {
  const to = new Map(moves.map((move) => [move.guest, move.to]));
  const moved = guests.map((each) => ({ ...each, host: to.get(each.name) ?? each.host }));
  const { places } = new Fleet({ hosts: all, guests: moved });
  return places.reduce((sum, place) => sum + Math.max(0, place.mean - place.host.cpu), 0);
}

/** The same fleet on hosts that give so many times as much. */
export const grown = ({ hosts: all, guests }: Inventory, times: number): Inventory => ({
  hosts: all.map((each) => ({ ...each, cpu: each.cpu * times })),
  guests,
});
