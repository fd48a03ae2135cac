import { hasCpu, holds, objection, type CpuRoom } from './constraints.ts';
import type { EstimateOptions } from './estimate.ts';
import { FitIndex, whyNot } from './best-fit.ts';
import { Fleet, type Place, type Seat } from './fleet.ts';
import type { Budget, Inventory, Plan, Reason, Refusal } from './inventory.ts';
import { moveOf, planOf, refusal } from './plan.ts';
import { PlaceOrder } from './place-order.ts';
import { dearness } from './power.ts';

export interface ConsolidateOptions {
  /** Room that a host keeps when guests are put on it. */
  readonly fill: CpuRoom;
  /** When a host has too much, and how little it must have afterwards. */
  readonly relieve: CpuRoom;
  readonly relieved: CpuRoom;
  /** Room that the hosts that take an emptied host's guests keep. */
  readonly empty: CpuRoom;
  readonly estimate?: EstimateOptions;
  readonly budget?: Budget;
  /** Hosts that are tried in vain before emptying stops. */
  readonly tries: number;
  /** How much a move counts against the load of the host that it helps to empty, as a share of a host. */
  readonly perMove: number;
  /** How much sooner hosts are emptied that need more power for the same work: the power of the ratio. */
  readonly thrift: number;
}

/** Careful: for real fleets. Chosen on the five recorded days of bench/results/planner.md. */
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

/** Tight: as much load on a host as LR-MMT's own overload allows, for less energy. */
export const CONSOLIDATE_TIGHT: ConsolidateOptions = {
  ...CONSOLIDATE,
  fill: { z: 1.2, share: 1.026 },
  relieve: { z: 0.55, share: 1 },
  relieved: { z: 0.73, share: 1 },
  empty: { z: 2.2, share: 0.985 },
  perMove: 0.16,
  thrift: 8.5,
};

/** Fewer hosts: first those that have too much are relieved, then those that can be spared are emptied. */
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
  /** Where guests go, and where those of a host that is emptied go; from the first one that needs it on. */
  #fill: FitIndex | undefined;
  #emptying: FitIndex | undefined;
  /** Hosts that were not tried yet. */
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

  /** Without the part `less` of what it is expected to be asked for. */
  #hasTooMuch(place: Place, less = 0): boolean {
    const { z, share } = this.#options.relieve;
    return place.need(z) - less > place.host.cpu * share;
  }

  /** Moves the smallest guest that suffices away; the largest, and again, where none does. */
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

  /** What a host does for what it costs, and how many moves it takes to empty it: those with the least are emptied first. */
  #worthOf(): (place: Place) => number {
    const { perMove, thrift } = this.#options;
    const dear = this.#fleet.places.map(({ host }) => dearness(host) ** thrift);
    return ({ mean, host, seats, number }) =>
      (mean / host.cpu + perMove * seats.length) / (dear[number] ?? 1);
  }

  /** All guests of the host or none. */
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

  /** Whether the budget has room for a move beside those that were chosen, and beside `under`, of the same host. */
  #affords(seat: Seat, under: readonly Seat[] = []): boolean {
    const { moves = Infinity, bytes = Infinity } = this.#options.budget ?? {};
    const more = [...under, seat];
    const moreBytes = more.reduce((sum, { guest }) => sum + guest.memoryBytes, 0);
    return this.#choices.size + more.length <= moves && this.#bytes + moreBytes <= bytes;
  }

  /** Once: hosts that could be emptied are left for many reasons, and the next plan looks at all of them again. */
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

/** What its guests are expected to ask for by their days alone. */
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
