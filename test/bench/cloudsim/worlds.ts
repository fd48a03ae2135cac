import { HOST_TYPES } from '../../../bench/cloudsim/machines.ts';
import {
  World,
  type WorldGuest,
  type WorldHost,
  type WorldRules,
} from '../../../bench/cloudsim/world.ts';

export interface MadeGuest {
  readonly mips: number;
  /** At each 300 s, 0 to 1. */
  readonly loads: readonly number[];
  /** The index of the host where it starts. */
  readonly on: number;
  readonly memoryMb?: number;
}

/** Hosts of the first type (3720 MIPS) and of the second (5320) in turn, with guests where they are put. */
export function madeWorld(hosts: number, guests: readonly MadeGuest[], rules?: WorldRules): World {
  const world = new World(
    Array.from({ length: hosts }, (_, index) => HOST_TYPES[index % 2]!),
    guests.map(({ mips, loads, memoryMb = 870 }, index) => ({
      name: `guest${index}`,
      type: { mips, memoryMb },
      samples: Float64Array.from(loads),
    })),
    rules,
  );
  for (const [index, { on }] of guests.entries())
    world.put(guestOf(world, index), hostOf(world, on));
  return world;
}

export function guestOf(world: World, index: number): WorldGuest {
  const guest = world.guests[index];
  if (guest === undefined) throw new Error(`no guest ${index}`);
  return guest;
}

export function hostOf(world: World, index: number): WorldHost {
  const host = world.hosts[index];
  if (host === undefined) throw new Error(`no host ${index}`);
  return host;
}

/** The same load all day. */
export const steady = (load: number): number[] => Array.from({ length: 289 }, () => load);
