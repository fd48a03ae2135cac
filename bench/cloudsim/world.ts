import { wattsAt, capacityOf, moveSeconds, type HostType, type GuestType } from './machines.ts';
import { Tally } from './tally.ts';

/** Samples come every so many seconds, and so do the decisions. */
export const TICK_S = 300;
/** What rules may look back on: samples of a guest. */
export const HISTORY = 30;
/** Guests exist from 0 s on and their load from here on; so the ticks lie at 300.1 s, 600.1 s, ... */
export const START_S = 0.1;
const JOULES_PER_KWH = 3.6e6;
/** The part of a guest that its destination feels while it moves, and what its source loses. */
const ARRIVING_SHARE = 0.1;
const LEAVING_SHARE = 0.9;

export interface WorldGuest {
  readonly index: number;
  readonly name: string;
  readonly mips: number;
  readonly memoryMb: number;
  /** The load at each 300 s, 0 to 1, with the last one twice. */
  readonly samples: Float64Array;
  /** Past loads, 0 to 1, the newest first. */
  readonly history: number[];
  host: WorldHost | undefined;
  moving: boolean;
  /** What it asks for now, MIPS. */
  requested: number;
  /** 0 to 1. */
  load: number;
}

export interface WorldHost {
  readonly index: number;
  readonly type: HostType;
  readonly capacity: number;
  /** In the order in which they came, which breaks ties. Those that arrive are among them. */
  guests: WorldGuest[];
  readonly arriving: Set<WorldGuest>;
  /** What the last look gave to its guests, MIPS; and the one before. */
  usedMips: number;
  usedBefore: number;
  /** It boots until then, s; guests can come afterwards. 0 where it never has. */
  bootedAt: number;
}

export interface WorldMove {
  readonly guest: WorldGuest;
  readonly to: WorldHost;
}

/** How the experiment differs from the reference. The reference itself has none of these. */
export interface WorldRules {
  /** The reference removes a guest for good when it asks for nothing. */
  readonly guestsKept?: boolean;
  /** Memory that each host has in place of its type's, and that is honoured all the time, MB. */
  readonly hostMemoryMb?: number;
  /** A host without guests is off; it takes so long to be there again, at the power of an idle host, s. */
  readonly bootSeconds?: number;
}

interface Arrival extends WorldMove {
  readonly at: number;
}

/** One day of hosts and guests. It carries out what it is ordered; who decides is somebody else's matter. */
export class World {
  readonly hosts: readonly WorldHost[];
  readonly guests: WorldGuest[];
  readonly rules: WorldRules;
  readonly tally: Tally;
  now = 0;
  joules = 0;
  moves = 0;
  wakes = 0;
  /** The most memory over what a host has, of all hosts at all times, MB. */
  memoryOverMb = 0;
  #arrivals: Arrival[] = [];

  constructor(
    hostTypes: readonly HostType[],
    guests: readonly {
      readonly name: string;
      readonly type: GuestType;
      readonly samples: Float64Array;
    }[],
    rules: WorldRules = {},
  ) {
    this.rules = rules;
    this.hosts = hostTypes.map((type, index) => ({
      index,
      type,
      capacity: capacityOf(type),
      guests: [],
      arriving: new Set(),
      usedMips: 0,
      usedBefore: 0,
      bootedAt: 0,
    }));
    this.guests = guests.map(({ name, type, samples }, index) => ({
      index,
      name,
      mips: type.mips,
      memoryMb: type.memoryMb,
      samples,
      history: [],
      host: undefined,
      moving: false,
      requested: 0,
      load: 0,
    }));
    this.tally = new Tally(this.hosts.length, this.guests.length);
  }

  memoryMbOf(host: WorldHost): number {
    return this.rules.hostMemoryMb ?? host.type.memoryMb;
  }

  /** Before the day begins: the guest is there, no move. */
  put(guest: WorldGuest, host: WorldHost): void {
    guest.host = host;
    host.guests.push(guest);
  }

  /** Moves the clock to `time`: what is asked then, what is given, and the energy since the last look. */
  look(time: number): void {
    const elapsed = time - this.now;
    if (elapsed > 0) this.#ask(time);
    for (const host of this.hosts) this.#give(host, time);
    if (elapsed > 0) for (const host of this.hosts) this.joules += this.#joules(host, elapsed);
    this.now = time;
    if (this.rules.guestsKept !== true) this.#removeIdle();
  }

  /** Starts all moves of one decision. Memory lies on both hosts until a move ends. */
  start(moves: readonly WorldMove[]): void {
    for (const { guest, to } of moves) {
      guest.moving = true;
      const wait = this.#wake(to);
      to.arriving.add(guest);
      to.guests.push(guest);
      this.moves += 1;
      this.#arrivals.push({ guest, to, at: this.now + wait + moveSeconds(guest.memoryMb) });
      this.#give(to, this.now);
      if (guest.host !== undefined) this.#give(guest.host, this.now);
    }
    this.#arrivals.sort((left, right) => left.at - right.at);
    this.#measureMemory();
  }

  /** Ends all moves that end before `time`, each at its own time. */
  arrive(time: number): void {
    for (;;) {
      const at = this.#arrivals[0]?.at;
      if (at === undefined || at >= time) return;
      this.look(at);
      while (this.#arrivals[0]?.at === at) {
        const arrival = this.#arrivals.shift();
        if (arrival !== undefined) land(arrival);
      }
      this.look(at);
    }
  }

  kwh(): number {
    return this.joules / JOULES_PER_KWH;
  }

  #ask(time: number): void {
    // The reference compares floating point numbers here, so a sample may be left out of the history.
    const sampled = (time - START_S) % TICK_S === 0;
    for (const guest of this.guests) {
      guest.load = loadAt(guest.samples, time);
      guest.requested = guest.load * guest.mips;
      if (!sampled) continue;
      guest.history.unshift(guest.load);
      if (guest.history.length > HISTORY) guest.history.pop();
    }
  }

  #give(host: WorldHost, time: number): void {
    host.usedBefore = host.usedMips;
    let used = 0;
    let asked = 0;
    let resident = 0;
    const given = share(host);
    for (const [place, guest] of host.guests.entries()) {
      let mips = given[place] ?? 0;
      asked += guest.requested;
      if (!host.arriving.has(guest)) {
        resident += guest.requested;
        this.tally.guest(guest.index, {
          time,
          given: mips,
          asked: guest.requested,
          moving: guest.moving,
        });
        if (guest.moving) mips /= 0.9;
      }
      used += mips;
    }
    host.usedMips = used;
    const active = used > 0;
    this.tally.host(host.index, {
      time,
      given: used,
      asked,
      active,
      over: resident > host.capacity,
    });
  }

  #joules(host: WorldHost, elapsed: number): number {
    const from = loadOf(host.usedBefore, host);
    if (from === 0) return 0;
    const before = wattsAt(host.type, from);
    const after = wattsAt(host.type, loadOf(host.usedMips, host));
    return (before + (after - before) / 2) * elapsed;
  }

  #removeIdle(): void {
    const idle = this.guests.filter((guest) => !guest.moving && guest.requested === 0);
    if (idle.length === 0) return;
    for (const guest of idle) {
      remove(guest.host?.guests ?? [], guest);
      guest.host = undefined;
    }
    for (let place = this.guests.length - 1; place >= 0; place -= 1) {
      if (this.guests[place]?.host === undefined) this.guests.splice(place, 1);
    }
  }

  /** How long the host takes to be there, s. */
  #wake(host: WorldHost): number {
    const boot = this.rules.bootSeconds ?? 0;
    if (host.guests.length === 0) {
      this.wakes += 1;
      host.bootedAt = this.now + boot;
      this.joules += wattsAt(host.type, 0) * boot;
    }
    return Math.max(0, host.bootedAt - this.now);
  }

  #measureMemory(): void {
    if (this.rules.hostMemoryMb === undefined) return;
    for (const host of this.hosts) {
      const held = host.guests.reduce((sum, { memoryMb }) => sum + memoryMb, 0);
      this.memoryOverMb = Math.max(this.memoryOverMb, held - this.memoryMbOf(host));
    }
  }
}

/** A host's load, 0 to 1. What is a hair above 1 by rounding is 1. */
export function loadOf(mips: number, host: WorldHost): number {
  const load = mips / host.capacity;
  return load > 1 && load < 1.01 ? 1 : load;
}

/** The load at `time`, linear between the samples. */
export function loadAt(samples: Float64Array, time: number): number {
  const before = Math.floor(time / TICK_S);
  const from = samples[before] ?? 0;
  if (time % TICK_S === 0) return from;
  const slope = ((samples[before + 1] ?? from) - from) / TICK_S;
  return from + slope * (time - before * TICK_S);
}

function land({ guest, to }: WorldMove): void {
  remove(guest.host?.guests ?? [], guest);
  remove(to.guests, guest);
  to.arriving.delete(guest);
  to.guests.push(guest);
  guest.host = to;
  guest.moving = false;
}

function remove(from: WorldGuest[], guest: WorldGuest): void {
  const place = from.indexOf(guest);
  if (place >= 0) from.splice(place, 1);
}

/**
 * What each guest of a host gets, MIPS, in the order of `host.guests`: what it asks for, at most one core's worth;
 * and where all of them ask for more than there is, each the same part of it, rounded down.
 */
export function share(host: WorldHost): number[] {
  const { guests, arriving, capacity, type } = host;
  let left = capacity;
  let asked = 0;
  let enough = true;
  for (const guest of guests) {
    const capped = Math.min(guest.requested, type.coreMips);
    const counted = arriving.has(guest) ? capped * ARRIVING_SHARE : capped;
    asked += counted;
    if (left >= counted) left -= counted;
    else {
      enough = false;
      left = 0;
    }
  }
  const part = enough ? 1 : capacity / asked;
  return guests.map((guest) => {
    const capped = Math.min(guest.requested, type.coreMips);
    if (enough) {
      if (arriving.has(guest)) return capped * ARRIVING_SHARE;
      return guest.moving ? capped * LEAVING_SHARE : capped;
    }
    if (arriving.has(guest)) return Math.floor(capped * ARRIVING_SHARE * part);
    return Math.floor(guest.moving ? capped * part * LEAVING_SHARE : capped * part);
  });
}
