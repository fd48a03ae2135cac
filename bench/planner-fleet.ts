import type { Inventory, PlannedMove, PlannerGuest } from '../src/planner/inventory.ts';
import type { Random } from '../sim/random.ts';

const GIB = 1024 ** 3;

/** A fleet that a seed gives again: hosts of 16 cores and 256 GiB, ten guests each, a tenth of them busy. */
export function madeFleet(hosts: number, random: Random): Inventory {
  const guest = (index: number): PlannerGuest => {
    const cpu = random.pick([1, 2, 4]);
    const level = random.chance(0.1) ? 0.6 : 0.2;
    return {
      name: `g${index}`,
      host: `h${index % hosts}`,
      memoryBytes: random.pick([2, 4, 8, 16]) * GIB,
      cpu,
      demand: Array.from({ length: 30 }, () => cpu * random.between(level / 2, level * 1.5)),
      dirtyBytesPerSecond: random.pick([0, 1e6, 10e6, 40e6]),
    };
  };
  return {
    hosts: Array.from({ length: hosts }, (_, index) => ({
      name: `h${index}`,
      cpu: 16,
      coreCpu: 1,
      memoryBytes: 256 * GIB,
      watts: index % 2 === 0 ? [120, 320] : [140, 400],
      on: true,
    })),
    guests: Array.from({ length: hosts * 10 }, (_, index) => guest(index)),
  };
}

/** The fleet five minutes later: the moves are done, a host without guests is off, and each guest has a new sample. */
export function nextLook(
  { hosts, guests }: Inventory,
  moves: readonly PlannedMove[],
  random: Random,
): Inventory {
  const moved = new Map(moves.map(({ guest, to }) => [guest, to]));
  const later = guests.map((guest): PlannerGuest => {
    const { cpu, demand, name, host } = guest;
    // A guest stays the busy or quiet one that it is.
    const level = Math.max(...demand) > cpu * 0.3 ? 0.6 : 0.2;
    const sample = cpu * random.between(level / 2, level * 1.5);
    return { ...guest, host: moved.get(name) ?? host, demand: [sample, ...demand.slice(0, 29)] };
  });
  const used = new Set(later.map(({ host }) => host));
  return { hosts: hosts.map((host) => ({ ...host, on: used.has(host.name) })), guests: later };
}
