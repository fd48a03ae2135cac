import { hasCpu, holds, objection, type CpuRoom } from './constraints.ts';
import type { EstimateOptions } from './estimate.ts';
import { FitIndex, whyNot } from './best-fit.ts';
import { Fleet, type Place, type Seat } from './fleet.ts';
import type { Budget, Inventory, Plan, Reason, Refusal } from './inventory.ts';
import { moveOf, planOf, refusal } from './plan.ts';
import { PlaceOrder } from './place-order.ts';
import { dearness } from './power.ts';

export interface ConsolidateOptions {
  readonly fill: CpuRoom;
  /** Overload threshold, and the target after relief. */
  readonly relieve: CpuRoom;
  readonly relieved: CpuRoom;
  /** Room kept by hosts that take an emptied host's guests. */
  readonly empty: CpuRoom;
  readonly estimate?: EstimateOptions;
  readonly budget?: Budget;
  /** Failed attempts before emptying stops. */
  readonly tries: number;
  /** Weight of a move against the emptied host's load, as a share of a host. */
  readonly perMove: number;
  /** Preference for emptying inefficient hosts: exponent of the ratio of power. */
  readonly thrift: number;
}

/** Careful, for real fleets. Tuned on the five recorded days of bench/results/planner.md. */
export const CONSOLIDATE: ConsolidateOptions = {
  fill: { z: 1.4, share: 1 },
  relieve: { z: 0.55, share: 1 },
  relieved: { z: 0.8, share: 1 },
  empty: { z: 2.6, share: 1, lasting: true },
  estimate: { newest: 0.63, swing: 0.078, swingWeight: 4, samples: 24, byDays: true },
  tries: 6,
  perMove: 0.14,
  thrift: 8,
};

/** Tight: the load per host that LR-MMT's overload rule allows, for less energy. */
export const CONSOLIDATE_TIGHT: ConsolidateOptions = {
  ...CONSOLIDATE,
  fill: { z: 1.2, share: 1.026 },
  relieve: { z: 0.55, share: 1 },
  relieved: { z: 0.73, share: 1 },
  empty: { z: 2.2, share: 0.985 },
  perMove: 0.16,
  thrift: 8.5,
};

/** Uses fewer hosts: first relieves overloaded ones, then empties spare ones. */
export function consolidate(inventory: Inventory, options: ConsolidateOptions = CONSOLIDATE): Plan {
  return new Consolidation(inventory, options).plan();
}

interface Choice {
  readonly seat: Seat;
  readonly reason: Reason;
  readonly words: string;
  readonly alternatives: readonly Place[];
}

class Consolidation {
  readonly #fleet: Fleet;
  readonly #options: ConsolidateOptions;
  readonly #choices = new Map<Seat, Choice>();
  readonly #refusals: Refusal[] = [];
  #fill: FitIndex | undefined;
  #emptying: FitIndex | undefined;
  #sparable: PlaceOrder | undefined;
  #bytes = 0;

  constructor(inventory: Inventory, options: ConsolidateOptions) {
    this.#fleet = new Fleet(inventory, options.estimate);
    this.#options = options;
  }

  plan(): Plan {
    for (const place of this.#fleet.places) if (this.#hasTooMuch(place)) this.#relieve(place);
    this.#fill = undefined;
    this.#empty();
    return planOf(
      this.#fleet,
      [...this.#choices.values()].map(({ seat, ...why }) => moveOf(seat, why)),
      this.#refusals,
    );
  }

  /** `less`: expected demand to subtract. */
  #hasTooMuch(place: Place, less = 0): boolean {
    const { z, share } = this.#options.relieve;
    return place.need(z) - less > place.host.cpu * share;
  }

  /** Moves the smallest sufficient guest away; without one, the largest repeatedly. */
  #relieve(place: Place): void {
    const { z, share } = this.#options.relieved;
    const limit = place.host.cpu * share;
    const stuck = new Set<Seat>();
    const isSoon = !this.#hasTooMuch(place, byDays(place));
    while (place.need(z) > limit) {
      const seats = place.seats.filter((seat) => !stuck.has(seat) && holds(seat) === undefined);
      const size = (seat: Seat): number => seat.expected.mean;
      const enough = seats.filter((seat) => place.needWithout(seat, z) <= limit);
      const seat =
        enough.length > 0
          ? enough.reduce((left, right) => (size(right) < size(left) ? right : left))
          : seats.reduce<Seat | undefined>(
              (left, right) => (left === undefined || size(right) > size(left) ? right : left),
              undefined,
            );
      if (seat === undefined) return;
      this.#fill ??= new FitIndex(this.#fleet.places, this.#options.fill, isAwake);
      const [to, ...alternatives] = this.#fill.best(seat);
      const chosen = to ?? this.#sleeping(seat);
      if (chosen !== undefined && this.#affords(seat)) {
        const words = overloadWords(seat, enough.length > 0, isSoon);
        this.#choose(seat, chosen, { reason: 'overload', words, alternatives });
        continue;
      }
      stuck.add(seat);
      const why = chosen === undefined ? whyNot(seat, this.#fleet.places) : 'budget';
      this.#refusals.push(refusal(why, seat.guest.name, place.host.name));
    }
  }

  #empty(): void {
    let left = this.#options.tries;
    if (left === 0) return;
    const tried = new Set<Place>();
    const maySpare = (place: Place): boolean =>
      place.seats.length > 0 && !tried.has(place) && place.host.kept !== true;
    this.#sparable = new PlaceOrder(this.#fleet.places, this.#worthOf(), maySpare);
    while (left > 0) {
      const place = this.#sparable.first();
      if (place === undefined) return;
      tried.add(place);
      this.#sparable.changed(place);
      if (!this.#emptyOne(place)) left -= 1;
    }
  }

  /** Value of a host against its power and the moves to empty it; the host with the lowest value is emptied first. */
  #worthOf(): (place: Place) => number {
    const { perMove, thrift } = this.#options;
    const dear = this.#fleet.places.map(({ host }) => dearness(host) ** thrift);
    return ({ mean, host, seats, number }) =>
      (mean / host.cpu + perMove * seats.length) / (dear[number] ?? 1);
  }

  #emptyOne(place: Place): boolean {
    const seats = place.seats.toSorted((left, right) => right.expected.mean - left.expected.mean);
    if (seats.some((seat) => holds(seat) !== undefined || this.#choices.has(seat))) return false;
    this.#emptying ??= new FitIndex(this.#fleet.places, this.#options.empty, hasGuests);
    const done: { seat: Seat; alternatives: Place[] }[] = [];
    for (const seat of seats) {
      const [to, ...alternatives] = this.#emptying.best(seat);
      const under = done.map(({ seat: moved }) => moved);
      if (to === undefined || !this.#affords(seat, under)) {
        if (to !== undefined) this.#refuseForBudget(seat);
        for (const { seat: moved } of done) this.#move(moved, place);
        return false;
      }
      this.#move(seat, to);
      done.push({ seat, alternatives });
    }
    const words = `${place.host.name} is not needed once its guests are elsewhere`;
    for (const { seat, alternatives } of done) {
      this.#choose(seat, seat.at, { reason: 'empty-host', words, alternatives });
    }
    return true;
  }

  #move(seat: Seat, to: Place): void {
    const from = seat.at;
    this.#fleet.move(seat, to);
    for (const index of [this.#fill, this.#emptying, this.#sparable]) {
      index?.changed(from);
      index?.changed(to);
    }
  }

  #sleeping(seat: Seat): Place | undefined {
    let chosen: Place | undefined;
    for (const place of this.#fleet.places) {
      if (place.host.on || place.seats.length > 0 || objection(seat, place) !== undefined) continue;
      if (!hasCpu(seat, place, this.#options.fill)) continue;
      if (chosen === undefined || dearness(place.host) < dearness(chosen.host)) chosen = place;
    }
    return chosen;
  }

  /** Tells whether the budget allows a move in addition to the chosen ones and to `under`, of the same host. */
  #affords(seat: Seat, under: readonly Seat[] = []): boolean {
    const { moves = Infinity, bytes = Infinity } = this.#options.budget ?? {};
    const more = [...under, seat];
    const moreBytes = more.reduce((sum, { guest }) => sum + guest.memoryBytes, 0);
    return this.#choices.size + more.length <= moves && this.#bytes + moreBytes <= bytes;
  }

  #refuseForBudget({ guest, from }: Seat): void {
    if (this.#refusals.some(({ constraint }) => constraint === 'budget')) return;
    this.#refusals.push(refusal('budget', guest.name, from.host.name));
  }

  #choose(seat: Seat, to: Place, choice: Omit<Choice, 'seat'>): void {
    if (seat.at !== to) this.#move(seat, to);
    this.#bytes += seat.guest.memoryBytes;
    this.#choices.set(seat, { seat, ...choice });
  }
}

const isAwake = ({ host, seats }: Place): boolean => host.on || seats.length > 0;
const hasGuests = ({ seats }: Place): boolean => seats.length > 0;

const byDays = ({ seats }: Place): number =>
  seats.reduce((sum, { expected }) => sum + (expected.byDays ?? 0), 0);

function overloadWords({ guest, from }: Seat, suffices: boolean, isSoon: boolean): string {
  const which = suffices
    ? 'the smallest guest that suffices'
    : 'the largest guest that can move, and does not suffice alone';
  const asked = isSoon
    ? 'is asked for more than it has in the hour to come, by earlier days'
    : 'is asked for more than it has';
  return `${from.host.name} ${asked}; ${guest.name} is ${which}`;
}
