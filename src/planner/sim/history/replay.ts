/** Replays a recorded history with a policy. Pure. */
import { drain } from '../../drain/drain.ts';
import type { Inventory, Plan, Refusal } from '../../inventory.ts';
import { wattsOf } from '../../power.ts';
import { TICK_S, type History } from './history.ts';
import { RefusedCount, type ConstraintRefusal } from './refused.ts';
import { World, type WorldOptions } from './world.ts';

export type Planner = (
  inventory: Inventory,
) => Pick<Plan, 'moves'> & Partial<Pick<Plan, 'refusals'>>;

export interface Replay {
  readonly hours: number;
  /** Host-hours with demand above capacity, and the unserved share of demand. */
  readonly contention: number;
  readonly unserved: number;
  readonly moves: number;
  readonly failedMoves: number;
  readonly movedBytes: number;
  /** Absent if no host reports its power. */
  readonly kwh?: number;
  readonly hostHours: number;
  readonly wakes: number;
  /** Guest-hours on a failed host, or waiting for a place. */
  readonly darkGuestHours: number;
  readonly refused: readonly ConstraintRefusal[];
  /** Hourly means: hosts with contention, and hosts that are on. */
  readonly byHour: readonly { readonly contention: number; readonly on: number }[];
}

export interface ReplayOptions extends WorldOptions {
  /** Called before and after a plan is carried out. */
  readonly watch?: (world: World, begun: boolean, plan: Pick<Plan, 'moves'>) => void;
}

const HOUR_S = 3600;
const LOST_MOVING = 0.1;
const NO_MOVES: Pick<Plan, 'moves'> = { moves: [] };

/** `plan` undefined: guests do not move. The planner drains hosts separately from the policy. */
export function replay(
  history: History,
  plan: Planner | undefined,
  options: ReplayOptions,
): Replay {
  const world = new World(history, options);
  const count = new Count(history, world);
  const refused = new RefusedCount();
  for (let tick = 0; tick < history.ticks; tick += 1) {
    world.advance(tick * TICK_S);
    world.placeWaiting();
    world.sample(tick);
    count.look(tick);
    const restarting = world.restarts > 0;
    world.restarts = 0;
    if (plan !== undefined && !restarting) refused.look(act(world, plan, options));
  }
  return { ...count.result(), refused: refused.result() };
}

function act(world: World, plan: Planner, { watch }: ReplayOptions): readonly Refusal[] {
  const carryOut = (made: Pick<Plan, 'moves'>): void => {
    watch?.(world, false, made);
    world.carryOut(made);
    watch?.(world, true, made);
  };
  const isDrained = [...world.hosts.values()].some(({ draining }) => draining);
  carryOut(isDrained ? drain(world.inventory(), { hosts: [] }) : NO_MOVES);
  const made = plan(world.inventory());
  carryOut(made);
  return [...(made.refusals ?? []), ...alone(world)];
}

/** A policy with one host would report nothing. */
function alone({ hosts }: World): Refusal[] {
  const [host, ...others] = hosts.keys();
  if (host === undefined || others.length > 0) return [];
  return [{ constraint: 'last-host', host, words: `${host}: is the only host, and nothing moves` }];
}

class Count {
  readonly #history: History;
  readonly #world: World;
  readonly #byHour: { contention: number; on: number }[] = [];
  #asked = 0;
  #missing = 0;
  #joules = 0;
  #darkLooks = 0;

  constructor(history: History, world: World) {
    this.#history = history;
    this.#world = world;
  }

  look(tick: number): void {
    const asked = this.#askedAt(tick);
    const on = this.#world.on();
    const hour = Math.floor((tick * TICK_S) / HOUR_S);
    const now = (this.#byHour[hour] ??= { contention: 0, on: 0 });
    for (const host of this.#history.hosts) {
      if (!on.has(host.name)) continue;
      const wants = asked.get(host.name) ?? 0;
      now.on += 1;
      if (wants > host.cpu) now.contention += 1;
      this.#missing += Math.max(0, wants - host.cpu);
      this.#joules += wattsOf(host, wants / host.cpu) * TICK_S;
    }
  }

  #askedAt(tick: number): Map<string, number> {
    const asked = new Map<string, number>();
    for (const guest of this.#world.guests) {
      const { host, recorded, movingSeconds } = guest;
      const load = recorded.load[tick] ?? 0;
      const lost = (LOST_MOVING * movingSeconds) / TICK_S;
      guest.movingSeconds = 0;
      const waits = this.#world.isWaiting(guest);
      if (host === undefined && !waits) continue;
      this.#asked += load;
      this.#missing += lost * load;
      if (host === undefined || this.#world.hosts.get(host)?.failed === true) {
        this.#missing += load;
        this.#darkLooks += 1;
      } else asked.set(host, (asked.get(host) ?? 0) + load);
    }
    return asked;
  }

  result(): Omit<Replay, 'refused'> {
    const { ticks, hosts } = this.#history;
    const world = this.#world;
    const hasPower = hosts.some(({ watts }) => watts !== undefined);
    const perHour = HOUR_S / TICK_S;
    return {
      hours: (ticks * TICK_S) / HOUR_S,
      contention: this.#byHour.reduce((sum, each) => sum + each.contention, 0) / perHour,
      unserved: this.#asked === 0 ? 0 : this.#missing / this.#asked,
      moves: world.moves,
      failedMoves: world.failedMoves,
      movedBytes: world.movedBytes,
      ...(hasPower ? { kwh: (this.#joules + world.bootJoules) / 3.6e6 } : {}),
      hostHours: this.#byHour.reduce((sum, each) => sum + each.on, 0) / perHour,
      wakes: world.wakes,
      darkGuestHours: this.#darkLooks / perHour,
      byHour: this.#byHour.map(({ contention, on }, hour) => {
        const looks = Math.min(perHour, ticks - hour * perHour);
        return { contention: contention / looks, on: on / looks };
      }),
    };
  }
}
