/** What a policy would have done with a recorded history. Pure. */
import type { Inventory, Plan, PlannerHost } from '../../inventory.ts';
import { wattsOf } from '../../power.ts';
import { TICK_S } from './history.ts';
import type { History, RecordedGuest } from './history.ts';

export type Planner = (inventory: Inventory) => Plan;

export interface Replay {
  readonly hours: number;
  /** Host-hours in which guests asked for more than their host has; and of what was asked, what was not there. */
  readonly contention: number;
  readonly unserved: number;
  readonly moves: number;
  readonly movedBytes: number;
  /** Absent where no host reports its power. */
  readonly kwh?: number;
  readonly hostHours: number;
  /** Per hour: hosts with contention, and hosts that are on, on average. */
  readonly byHour: readonly { readonly contention: number; readonly on: number }[];
}

/** Samples that a policy looks back on, and moves of a guest that it is given. */
const LOOK_BACK = 30;
const PAST_MOVES = 4;
const HOUR_S = 3600;

interface Guest {
  readonly recorded: RecordedGuest;
  host: string;
  /** Where it goes, and when it is there, s. */
  going: { readonly to: string; readonly at: number } | undefined;
  left: { readonly host: string; readonly at: number }[];
}

/** `plan` undefined: guests stay where they are. `sleep`: a host without guests is off, and needs no power. */
export function replay(history: History, plan: Planner | undefined, sleep: boolean): Replay {
  return new Replaying(history, plan, sleep).run();
}

class Replaying {
  readonly #history: History;
  readonly #plan: Planner | undefined;
  readonly #sleep: boolean;
  readonly #guests: Guest[];
  readonly #byHour: { contention: number; on: number }[] = [];
  #asked = 0;
  #missing = 0;
  #moves = 0;
  #bytes = 0;
  #joules = 0;

  constructor(history: History, plan: Planner | undefined, sleep: boolean) {
    this.#history = history;
    this.#plan = plan;
    this.#sleep = sleep;
    this.#guests = history.guests.map((recorded) => ({
      recorded,
      host: recorded.host,
      going: undefined,
      left: [],
    }));
  }

  run(): Replay {
    const { ticks, hosts } = this.#history;
    for (let tick = 0; tick < ticks; tick += 1) {
      this.#arrive(tick * TICK_S);
      this.#look(tick);
      if (this.#plan !== undefined) this.#act(this.#plan, tick);
    }
    const hours = (ticks * TICK_S) / HOUR_S;
    const hasPower = hosts.some(({ watts }) => watts !== undefined);
    const perHour = HOUR_S / TICK_S;
    return {
      hours,
      contention: this.#byHour.reduce((sum, each) => sum + each.contention, 0) / perHour,
      unserved: this.#asked === 0 ? 0 : this.#missing / this.#asked,
      moves: this.#moves,
      movedBytes: this.#bytes,
      ...(hasPower ? { kwh: this.#joules / 3.6e6 } : {}),
      hostHours: this.#byHour.reduce((sum, each) => sum + each.on, 0) / perHour,
      byHour: this.#byHour.map(({ contention, on }, hour) => {
        // The last hour may have fewer.
        const looks = Math.min(perHour, ticks - hour * perHour);
        return { contention: contention / looks, on: on / looks };
      }),
    };
  }

  #arrive(now: number): void {
    for (const guest of this.#guests) {
      if (guest.going === undefined || guest.going.at > now) continue;
      guest.host = guest.going.to;
      guest.going = undefined;
    }
  }

  #look(tick: number): void {
    const asked = new Map<string, number>();
    const used = new Set<string>();
    for (const { host, going, recorded } of this.#guests) {
      asked.set(host, (asked.get(host) ?? 0) + (recorded.load[tick] ?? 0));
      used.add(host);
      if (going !== undefined) used.add(going.to);
    }
    const hour = Math.floor((tick * TICK_S) / HOUR_S);
    const now = (this.#byHour[hour] ??= { contention: 0, on: 0 });
    for (const host of this.#history.hosts) {
      if (this.#sleep && !used.has(host.name)) continue;
      const wants = asked.get(host.name) ?? 0;
      now.on += 1;
      if (wants > host.cpu) now.contention += 1;
      this.#asked += wants;
      this.#missing += Math.max(0, wants - host.cpu);
      this.#joules += wattsOf(host, wants / host.cpu) * TICK_S;
    }
  }

  #act(plan: Planner, tick: number): void {
    const now = tick * TICK_S;
    const guests = new Map(this.#guests.map((guest) => [guest.recorded.name, guest]));
    for (const { guest: name, from, to, cost } of plan(this.#inventory(tick)).moves) {
      const guest = guests.get(name);
      if (guest === undefined || guest.going !== undefined) continue;
      guest.going = { to, at: now + cost.seconds };
      guest.left = [...guest.left, { host: from, at: now }].slice(-PAST_MOVES);
      this.#moves += 1;
      this.#bytes += cost.bytes;
    }
  }

  #inventory(tick: number): Inventory {
    const used = new Set(this.#guests.flatMap(({ host, going }) => [host, going?.to ?? host]));
    // What is on its way counts for its destination, and its memory on the host that it leaves too.
    const leaving = new Map<string, number>();
    for (const { host, going, recorded } of this.#guests) {
      if (going === undefined) continue;
      leaving.set(host, (leaving.get(host) ?? 0) + recorded.memoryBytes);
    }
    const hosts = this.#history.hosts.map((host): PlannerHost => ({
      ...host,
      on: !this.#sleep || used.has(host.name),
      memoryBytes: host.memoryBytes - (leaving.get(host.name) ?? 0),
    }));
    const guests = this.#guests.map(({ recorded, host, going, left }) => ({
      name: recorded.name,
      host: going?.to ?? host,
      memoryBytes: recorded.memoryBytes,
      cpu: recorded.cores,
      demand: [...recorded.load.subarray(Math.max(0, tick + 1 - LOOK_BACK), tick + 1)].toReversed(),
      moving: going !== undefined,
      left: left.map((past) => ({ host: past.host, secondsAgo: tick * TICK_S - past.at })),
    }));
    return { hosts, guests };
  }
}
