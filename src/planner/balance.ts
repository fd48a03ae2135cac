import { asked } from './requested-cpu.ts';
import { hasCpu, holds, objection } from './constraints.ts';
import type { CpuRoom } from './constraints.ts';
import { costOf } from './cost.ts';
import type { EstimateOptions } from './estimate.ts';
import { Fleet } from './fleet.ts';
import type { Place, Seat } from './fleet.ts';
import type { Budget, Inventory, Plan, PlannedMove, PlannerGuest, Refusal } from './inventory.ts';
import { moveOf, planOf, refusal } from './plan.ts';
import { PlaceOrder } from './place-order.ts';
import { shortfall } from './shortfall.ts';

/** From 1 (only what can not stay as it is) to 5 (every gain that is worth its move). */
export type Level = 1 | 2 | 3 | 4 | 5;

export interface BalanceOptions {
  readonly level: Level;
  /** For one plan. */
  readonly budget?: Budget;
  /** Counted over what guests have left in the last hour (`PlannerGuest.left`). */
  readonly perHour?: Budget;
  /** A guest that has moved stays for so long, s. */
  readonly residenceSeconds: number;
  /** For how long a gain is counted, s. */
  readonly horizonSeconds: number;
  readonly estimate?: EstimateOptions;
}

export const BALANCE: BalanceOptions = {
  level: 3,
  perHour: { moves: 60 },
  residenceSeconds: 4 * 3600,
  horizonSeconds: 3600,
  // Who leaves and where to is a matter of what guests ask for in the long run: what they ask for now may be over soon.
  estimate: { newest: 0, swing: 0.08, swingWeight: 4, samples: 30 },
};

/** When a host has too much, what a move must bring for what it costs, and from what distance on hosts are evened out. */
interface Care {
  /** Now, as a part of what it has. */
  readonly over: number;
  /** The demand in the long run, at so many standard deviations; absent where that alone is no reason. */
  readonly z?: number;
  readonly worth: number;
  readonly spread?: number;
}

const CARE: Readonly<Record<Level, Care>> = {
  1: { over: 1.25, worth: 10 },
  2: { over: 1.1, worth: 3 },
  3: { over: 1, z: 0.5, worth: 1 },
  4: { over: 1, z: 0.75, worth: 1, spread: 0.4 },
  5: { over: 0.95, z: 1, worth: 0.5, spread: 0.25 },
};

/** A relieved host keeps so much room, and one that takes a guest more: the distance is what keeps guests from swinging. */
const RELIEVED_Z = 1.5;
const TAKES: CpuRoom = { z: 0.5, share: 0.95 };
/** What a host has too much of now lasts for so much of the horizon. */
const LASTS = 0.3;
/** What a guest loses while it moves, as a share of what it asks for. */
const LOST_MOVING = 0.1;
/** Beside that, a move counts as if its guest was paused for so long, s: nobody likes moves. */
const STANDSTILL_S = 10;
/** Hosts that differ by less than so many standard deviations do not differ. */
const NOISE = 2;
const HOUR_S = 3600;
/** Each move that a guest had within a day makes the next one so many times as dear. */
const AGAIN = 8;
const DAY_S = 24 * HOUR_S;
const CHOICES = 3;
/** Room for rounding. */
const HAIR = 1e-9;

/** First contention: guests leave hosts on which they ask for more than there is. Then, at levels 4 and 5, hosts that differ much. */
export function balance(inventory: Inventory, options: BalanceOptions = BALANCE): Plan {
  return new Balance(inventory, options).plan();
}

interface Candidate {
  readonly seat: Seat;
  readonly to: Place;
  readonly others: readonly Place[];
  /** Processor-seconds that are served and were not, and those that the move costs. */
  readonly gain: number;
  readonly cost: number;
  readonly net: number;
}

type Chosen = Pick<Candidate, 'seat' | 'to' | 'others'> & Partial<Candidate>;

class Balance {
  readonly #fleet: Fleet;
  readonly #options: BalanceOptions;
  readonly #care: Care;
  readonly #moves = new Map<Seat, PlannedMove>();
  readonly #refusals: Refusal[] = [];
  /** What is asked for at this moment, by the number of the place. */
  readonly #now: Float64Array;
  /** What the largest host gives. */
  readonly #largest: number;
  /** Hosts that may take guests, by the part of each that is needed; from the first one that has too much on. */
  #takers: PlaceOrder | undefined;
  readonly #left: { moves: number; bytes: number };

  constructor(inventory: Inventory, options: BalanceOptions) {
    this.#fleet = new Fleet(asked(inventory), options.estimate);
    this.#options = options;
    this.#care = CARE[options.level];
    const guests = [...this.#fleet.seats.map(({ guest }) => guest), ...this.#fleet.lost];
    this.#left = leftOf(guests, options);
    this.#largest = this.#fleet.places.reduce((most, { host }) => Math.max(most, host.cpu), 0);
    this.#now = new Float64Array(this.#fleet.places.length);
    for (const seat of this.#fleet.seats) this.#count(seat, seat.at, 1);
  }

  plan(): Plan {
    const over = this.#fleet.places
      .filter((place) => this.#hasTooMuch(place))
      .toSorted((left, right) => lossOf(right) - lossOf(left));
    for (const place of over) this.#relieve(place);
    const { spread } = this.#care;
    if (spread !== undefined && this.#moves.size === 0) this.#spread(spread);
    return planOf(this.#fleet, [...this.#moves.values()], this.#refusals);
  }

  #hasTooMuch(place: Place): boolean {
    const { over, z } = this.#care;
    const { cpu } = place.host;
    return this.#nowOf(place) > cpu * over || (z !== undefined && place.need(z) > cpu);
  }

  #nowOf({ number }: Place): number {
    return this.#now[number] ?? 0;
  }

  #count(seat: Seat, { number }: Place, sign: 1 | -1): void {
    this.#now[number] = (this.#now[number] ?? 0) + sign * nowOf(seat);
  }

  #relieve(place: Place): void {
    while (this.#hasTooMuch(place)) {
      const candidate = this.#best(place);
      if (candidate === undefined) {
        this.#say(place);
        return;
      }
      if (!this.#affords(candidate.seat)) {
        this.#refusals.push(refusal('budget', candidate.seat.guest.name, place.host.name));
        return;
      }
      const words = `${place.host.name} is asked for ${shown(this.#nowOf(place))} of ${shown(place.host.cpu)}, and for ${shown(place.mean)} in the long run; ${candidate.seat.guest.name} asks for ${shown(candidate.seat.expected.mean)}, and ${candidate.to.host.name} has room: ${shown(candidate.gain)} processor-seconds an hour for ${shown(candidate.cost)}`;
      this.#move(candidate, 'contention', words);
    }
  }

  /** The one that brings most for what it costs. */
  #best(place: Place): Candidate | undefined {
    let best: Candidate | undefined;
    for (const seat of place.seats) {
      if (!this.#mayMove(seat)) continue;
      const candidate = this.#candidate(seat, place);
      if (candidate === undefined || candidate.gain < candidate.cost * this.#care.worth) continue;
      if (best === undefined || candidate.net > best.net) best = candidate;
    }
    return best;
  }

  #candidate(seat: Seat, from: Place): Candidate | undefined {
    const now = nowOf(seat);
    const fits: { place: Place; part: number }[] = [];
    this.#takers ??= new PlaceOrder(this.#fleet.places, partOf, ({ host }) => host.on);
    for (const place of this.#takers.from(0)) {
      const most = fits.length === CHOICES ? (fits.at(-1)?.part ?? 1) : 1;
      // It needs more of a host than its guests alone do, by no less than its mean on the largest host.
      if (this.#takers.figure(place) + this.#leastPart(seat) > most + HAIR) break;
      const part = place.needWith(seat, RELIEVED_Z) / place.host.cpu;
      if (place === from || part >= 1 || part > most) continue;
      if (this.#nowOf(place) + now > place.host.cpu * TAKES.share) continue;
      if (!hasCpu(seat, place, TAKES) || objection(seat, place) !== undefined) continue;
      fits.push({ place, part });
      fits.sort((left, right) => left.part - right.part || left.place.number - right.place.number);
      fits.length = Math.min(fits.length, CHOICES);
    }
    const [to, ...others] = fits.map(({ place }) => place);
    if (to === undefined) return undefined;
    const before = lossOf(from) + lossOf(to);
    const { mean, variance } = seat.expected;
    const after =
      shortfall(from.mean - mean, from.variance - variance, from.host.cpu) +
      shortfall(to.mean + mean, to.variance + variance, to.host.cpu);
    const { seconds, downtimeMs } = costOf(seat.guest, from.host, to.host);
    const relieved = Math.min(now, Math.max(0, this.#nowOf(from) - from.host.cpu));
    const gain = (before - after + LASTS * relieved) * this.#options.horizonSeconds;
    const recent = (seat.guest.left ?? []).filter(({ secondsAgo }) => secondsAgo < DAY_S).length;
    const moving = mean * (LOST_MOVING * seconds + downtimeMs / 1000 + STANDSTILL_S);
    const cost = moving * AGAIN ** recent;
    return { seat, to, others, gain, cost, net: gain - cost * this.#care.worth };
  }

  #leastPart({ expected }: Seat): number {
    return expected.mean / this.#largest;
  }

  /** One move from the fullest host to the emptiest, where they differ by more than noise makes them. */
  #spread(least: number): void {
    const places = this.#fleet.places.filter(({ host }) => host.on && host.silent !== true);
    const part = (place: Place): number => place.mean / place.host.cpu;
    const noise = (place: Place): number => Math.sqrt(place.variance) / place.host.cpu;
    const sorted = places.toSorted((left, right) => part(right) - part(left));
    const [full] = sorted;
    const empty = sorted.findLast(({ host }) => host.draining !== true);
    if (full === undefined || empty === undefined || full === empty) return;
    const distance = part(full) - part(empty);
    if (distance < least + NOISE * Math.hypot(noise(full), noise(empty))) return;
    let chosen: Seat | undefined;
    for (const seat of full.seats) {
      if (!this.#mayMove(seat) || !hasCpu(seat, empty, TAKES)) continue;
      if (objection(seat, empty) !== undefined || !this.#affords(seat)) continue;
      // It takes at most half of the distance: the two never change places.
      const { mean } = seat.expected;
      if (mean / full.host.cpu + mean / empty.host.cpu > distance) continue;
      if (chosen === undefined || mean > chosen.expected.mean) chosen = seat;
    }
    if (chosen === undefined) return;
    const words = `${full.host.name} is asked for ${percent(part(full))} of what it has, ${empty.host.name} for ${percent(part(empty))}: more than they swing`;
    this.#move({ seat: chosen, to: empty, others: [] }, 'spread', words);
  }

  #mayMove(seat: Seat): boolean {
    const { left = [] } = seat.guest;
    const rests = left.some(({ secondsAgo }) => secondsAgo < this.#options.residenceSeconds);
    return !rests && holds(seat) === undefined && !this.#moves.has(seat);
  }

  #affords({ guest }: Seat): boolean {
    return this.#left.moves >= 1 && this.#left.bytes >= guest.memoryBytes;
  }

  #move(
    { seat, to, others, gain, cost }: Chosen,
    reason: 'contention' | 'spread',
    words: string,
  ): void {
    this.#left.moves -= 1;
    this.#left.bytes -= seat.guest.memoryBytes;
    const { at } = seat;
    this.#count(seat, at, -1);
    this.#count(seat, to, 1);
    this.#fleet.move(seat, to);
    this.#takers?.changed(at);
    this.#takers?.changed(to);
    const worth = gain === undefined || cost === undefined ? {} : { worth: { gain, cost } };
    this.#moves.set(seat, moveOf(seat, { reason, words, alternatives: others, ...worth }));
  }

  /** A host that has too much, and nobody to move. */
  #say({ host, seats }: Place): void {
    if (seats.length === 0) return;
    const words = `${host.name}: is asked for more than it has, and no move is worth what it costs or has a place to go`;
    this.#refusals.push({ constraint: 'cpu', host: host.name, words });
  }
}

/** What makes no sense counts as the guest's size. */
const nowOf = ({ guest, unknown }: Seat): number => (unknown ? guest.cpu : (guest.demand[0] ?? 0));

const partOf = (place: Place): number => place.need(RELIEVED_Z) / place.host.cpu;

const lossOf = ({ mean, variance, host }: Place): number => shortfall(mean, variance, host.cpu);

/** What this plan may still do, after what was done in the last hour. */
function leftOf(
  guests: readonly PlannerGuest[],
  { budget = {}, perHour = {} }: BalanceOptions,
): { moves: number; bytes: number } {
  let moves = 0;
  let bytes = 0;
  for (const { left, memoryBytes } of guests) {
    if (left === undefined) continue;
    const recent = left.filter(({ secondsAgo }) => secondsAgo < HOUR_S).length;
    moves += recent;
    bytes += recent * memoryBytes;
  }
  return {
    moves: Math.min(budget.moves ?? Infinity, (perHour.moves ?? Infinity) - moves),
    bytes: Math.min(budget.bytes ?? Infinity, (perHour.bytes ?? Infinity) - bytes),
  };
}

const shown = (value: number): string => Number(value.toPrecision(3)).toString();
const percent = (part: number): string => `${Math.round(part * 100)} %`;
