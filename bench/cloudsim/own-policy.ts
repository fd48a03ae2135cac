import type { Inventory, Plan, PlannerHost } from '../../src/planner/inventory.ts';
import type { Decide } from './reallocate.ts';
import type { World, WorldGuest } from './world.ts';

const MB = 1024 * 1024;
/** Memory that the reference never looks at. */
const UNBOUNDED = Number.MAX_SAFE_INTEGER;

/** A policy of the product as what decides in an experiment: it sees what a controller would see, and its plan is carried out. */
export function decideBy(plan: (inventory: Inventory) => Plan): Decide {
  /** When each guest left which host, s. */
  const left = new Map<WorldGuest, { host: string; at: number }[]>();
  return (world) => {
    const { moves } = plan(inventoryOf(world, left));
    const guests = new Map(world.guests.map((guest) => [guest.name, guest]));
    return moves.flatMap(({ guest: name, from, to: target }) => {
      const guest = guests.get(name);
      const to = world.hosts[Number(target)];
      if (guest === undefined || to === undefined) return [];
      left.set(guest, [...(left.get(guest) ?? []), { host: from, at: world.now }].slice(-4));
      return [{ guest, to }];
    });
  };
}

function inventoryOf(
  world: World,
  left: ReadonlyMap<WorldGuest, readonly { host: string; at: number }[]>,
): Inventory {
  const honoured = world.rules.hostMemoryMb !== undefined;
  const hosts = world.hosts.map((host): PlannerHost => ({
    name: String(host.index),
    cpu: host.capacity,
    coreCpu: host.type.coreMips,
    memoryBytes: honoured ? world.memoryMbOf(host) * MB : UNBOUNDED,
    watts: host.type.watts,
    on: host.guests.length > 0,
  }));
  const guests = world.guests.flatMap((guest) =>
    guest.host === undefined
      ? []
      : [
          {
            name: guest.name,
            host: String(guest.host.index),
            memoryBytes: guest.memoryMb * MB,
            cpu: guest.mips,
            demand: guest.history.map((load) => load * guest.mips),
            moving: guest.moving,
            left: (left.get(guest) ?? []).map(({ host, at }) => ({
              host,
              secondsAgo: world.now - at,
            })),
          },
        ],
  );
  return { hosts, guests };
}
