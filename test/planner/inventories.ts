import fc from 'fast-check';
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

/**
 * Every constraint that a plan breaks, as lines; none for a good plan. Memory and `apart` count at any moment and in
 * any order: a guest that moves is on both hosts until all have moved.
 */
export function broken({ hosts: all, guests }: Inventory, { moves }: Plan): string[] {
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
    const here = guests.filter((each) => each.host === name);
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
