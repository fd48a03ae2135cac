import { asked } from './requested-cpu.ts';
import { hasCpu, holds, objection, type CpuRoom } from './constraints.ts';
import { BALANCE, CARE, type BalanceOptions, type Care } from './balance-options.ts';
import { Fleet, type Place, type Seat } from './fleet.ts';
import type { Inventory, Plan, PlannedMove, Refusal } from './inventory.ts';
import { leftOf, movingCost, recentMoves } from './move-costs.ts';
import { moveOf, planOf, refusal } from './plan.ts';
import { PlaceOrder } from './place-order.ts';
import { shortfall } from './shortfall.ts';
import { bestSwap, type Swap } from './swap.ts';
import { whyStuck } from './why-stuck.ts';

/** Room kept at a relieved host; a receiving one keeps more. The difference prevents oscillation. */
const RELIEVED_Z = 1.5;
const TAKES: CpuRoom = { z: 0.5, share: 0.95 };
/** Assumed duration of a present overload, as a share of the horizon. */
const LASTS = 0.3;
/** Difference in standard deviations that counts as noise. */
const NOISE = 2;
const CHOICES = 3;
/** Number of hosts, those with most room, that are examined to explain why no guest leaves. */
const MAX_NAMED = 32;
/** Discount on a guest's gain for each of its moves within a day, if another could leave. */
const TWICE = 0.5;
const HAIR = 1e-9;

/** Relieves overloaded hosts first. Then, at levels 4 and 5, evens out hosts that differ much. */
export function balance(inventory: Inventory, options: BalanceOptions = BALANCE): Plan {
  return new Balance(inventory, options).plan();
}

interface Candidate {
  readonly seat: Seat;
  readonly to: Place;
  readonly others: readonly Place[];
  /** Processor-seconds gained and spent by the move. */
  readonly gain: number;
  readonly cost: number;
  readonly net: number;
}

type ChosenCandidate = Pick<Candidate, 'seat' | 'to' | 'others'> & Partial<Candidate>;

class Balance {
  readonly #fleet: Fleet;
  readonly #options: BalanceOptions;
  readonly #care: Care;
  readonly #moves = new Map<Seat, PlannedMove>();
  readonly #refusals: Refusal[] = [];
  /** Present demand by place number. */
  readonly #now: Float64Array;
  readonly #largest: number;
  #takers: PlaceOrder | undefined;
  readonly #left: { moves: number; bytes: number };
  readonly #swapBudget: { pairs: number };

  constructor(inventory: Inventory, options: BalanceOptions) {
    this.#fleet = new Fleet(asked(inventory), options.estimate);
    this.#options = options;
    this.#care = CARE[options.level];
    const guests = [...this.#fleet.seats.map(({ guest }) => guest), ...this.#fleet.lost];
    this.#left = leftOf(guests, options);
    this.#swapBudget = { pairs: options.swapPairs };
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
        const swap = this.#swap(place);
        if (swap === undefined) {
          this.#say(place);
          return;
        }
        this.#moveBoth(swap, place);
        continue;
      }
      if (!this.#affords(candidate.seat)) {
        this.#refusals.push(refusal('budget', candidate.seat.guest.name, place.host.name));
        return;
      }
      const words = `${place.host.name} is asked for ${shown(this.#nowOf(place))} of ${shown(place.host.cpu)}, and for ${shown(place.mean)} in the long run; ${candidate.seat.guest.name} asks for ${shown(candidate.seat.expected.mean)}, and ${candidate.to.host.name} has room: ${shown(candidate.gain)} processor-seconds an hour for ${shown(candidate.cost)}`;
      this.#move(candidate, { reason: 'contention', words });
    }
  }

  #best(place: Place): Candidate | undefined {
    let best: Candidate | undefined;
    for (const seat of place.seats) {
      if (!this.#mayMove(seat)) continue;
      const candidate = this.#candidate(seat, place);
      if (candidate === undefined || candidate.gain < candidate.cost * this.#care.worth) continue;
      if (best === undefined || rankOf(candidate) > rankOf(best)) best = candidate;
    }
    return best;
  }

  /** If no guest has a destination: exchanges one with a smaller one. */
  #swap(place: Place): Swap | undefined {
    this.#takers ??= new PlaceOrder(this.#fleet.places, partOf, ({ host }) => host.on);
    const swap = bestSwap(place, this.#takers.from(0), {
      room: TAKES,
      budget: this.#swapBudget,
      mayMove: (seat) => this.#mayMove(seat),
      nowOf,
      nowAt: (each) => this.#nowOf(each),
      worthOf: ({ away, back, saved, less }) => {
        const gain = this.#gainOf(saved, less, place);
        const cost = movingCost(away, place, back.at) + movingCost(back, back.at, place);
        return { gain, cost, net: gain - cost * this.#care.worth };
      },
    });
    return swap !== undefined && this.#affords(swap.away, swap.back) ? swap : undefined;
  }

  #moveBoth({ away, back, gain, cost }: Swap, place: Place): void {
    const to = back.at;
    const asksFor = ({ expected }: Seat): string => shown(expected.mean);
    const words = `${place.host.name} is asked for ${shown(this.#nowOf(place))} of ${shown(place.host.cpu)}, and no host has room; ${away.guest.name} asks for ${asksFor(away)} and changes places with ${back.guest.name} of ${to.host.name}, which asks for ${asksFor(back)}: ${shown(gain)} processor-seconds an hour for ${shown(cost)}`;
    const others: readonly Place[] = [];
    const pair = { reason: 'contention', words } as const;
    this.#move({ seat: away, to, others, gain, cost }, { ...pair, swapsWith: back.guest.name });
    this.#move({ seat: back, to: place, others }, { ...pair, swapsWith: away.guest.name });
  }

  /** Processor-seconds gained by reducing long-term shortage (`saved`) and the source's present demand (`less`). */
  #gainOf(saved: number, less: number, from: Place): number {
    const relieved = Math.min(less, Math.max(0, this.#nowOf(from) - from.host.cpu));
    return (saved + LASTS * relieved) * this.#options.horizonSeconds;
  }

  #candidate(seat: Seat, from: Place): Candidate | undefined {
    const now = nowOf(seat);
    const fits: { place: Place; part: number }[] = [];
    this.#takers ??= new PlaceOrder(this.#fleet.places, partOf, ({ host }) => host.on);
    for (const place of this.#takers.from(0)) {
      const most = fits.length === CHOICES ? (fits.at(-1)?.part ?? 1) : 1;
      // The guest adds at least its mean on the largest host.
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
    const gain = this.#gainOf(before - after, now, from);
    const cost = movingCost(seat, from, to);
    return { seat, to, others, gain, cost, net: gain - cost * this.#care.worth };
  }

  #leastPart({ expected }: Seat): number {
    return expected.mean / this.#largest;
  }

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
      const { mean } = seat.expected;
      if (mean / full.host.cpu + mean / empty.host.cpu > distance) continue;
      if (chosen === undefined || mean > chosen.expected.mean) chosen = seat;
    }
    if (chosen === undefined) return;
    const words = `${full.host.name} is asked for ${percent(part(full))} of what it has, ${empty.host.name} for ${percent(part(empty))}: more than they swing`;
    this.#move({ seat: chosen, to: empty, others: [] }, { reason: 'spread', words });
  }

  #mayMove(seat: Seat): boolean {
    return !this.#rests(seat) && holds(seat) === undefined && !this.#moves.has(seat);
  }

  #rests({ guest: { left = [] } }: Seat): boolean {
    return left.some(({ secondsAgo }) => secondsAgo < this.#options.residenceSeconds);
  }

  #affords(...seats: readonly Seat[]): boolean {
    const bytes = seats.reduce((sum, { guest }) => sum + guest.memoryBytes, 0);
    return this.#left.moves >= seats.length && this.#left.bytes >= bytes;
  }

  #move(
    { seat, to, others, gain, cost }: ChosenCandidate,
    why: Pick<PlannedMove, 'words' | 'swapsWith'> & { readonly reason: 'contention' | 'spread' },
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
    this.#moves.set(seat, moveOf(seat, { ...why, alternatives: others, ...worth }));
  }

  #say(place: Place): void {
    if (place.seats.length === 0) return;
    this.#takers ??= new PlaceOrder(this.#fleet.places, partOf, ({ host }) => host.on);
    const near: Place[] = [];
    for (const each of this.#takers.from(0)) {
      if (near.length === MAX_NAMED) break;
      near.push(each);
    }
    const rests = (seat: Seat): boolean => this.#rests(seat);
    const stuck = whyStuck(place, { near, room: TAKES, rests });
    this.#refusals.push({ ...stuck, host: place.host.name });
  }
}

const rankOf = ({ seat, net }: Candidate): number => net * TWICE ** recentMoves(seat);

/** Implausible demand counts as the guest's size. */
const nowOf = ({ guest, unknown }: Seat): number => (unknown ? guest.cpu : (guest.demand[0] ?? 0));

const partOf = (place: Place): number => place.need(RELIEVED_Z) / place.host.cpu;

const lossOf = ({ mean, variance, host }: Place): number => shortfall(mean, variance, host.cpu);

const shown = (value: number): string => Number(value.toPrecision(3)).toString();
const percent = (part: number): string => `${Math.round(part * 100)} %`;
