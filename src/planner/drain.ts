import { hasCpu, holds, objection } from './constraints.ts';
import type { CpuRoom } from './constraints.ts';
import { LINK_BYTES_PER_SECOND } from './cost.ts';
import { whyNot } from './fit.ts';
import { Fleet } from './fleet.ts';
import type { Place, Seat } from './fleet.ts';
import type { Constraint, Inventory, Plan, PlannedMove, Refusal } from './inventory.ts';
import { moveOf, planOf, refusal } from './plan.ts';
import { bestSchedule, totalSeconds } from './schedule.ts';
import type { Links, Transfer } from './schedule.ts';

export interface DrainOptions {
  /** Hosts to empty, besides those that the inventory says are draining. */
  readonly hosts: readonly string[];
  /** Moves at a time: in all, and out of or into one host. */
  readonly parallel?: number;
  readonly perHost?: number;
  /** When the hosts must be empty, s from now. */
  readonly deadlineSeconds?: number;
}

/** The moves in the order in which they start, each as soon as fewer than `parallel` run. */
export interface DrainPlan extends Plan {
  readonly parallel: number;
  /** Until the last move ends, by prediction. */
  readonly seconds: number;
  /** Guests whose move ends after the deadline, by prediction. */
  readonly late: readonly string[];
}

const PARALLEL = 8;
const PER_HOST = 4;
/** First with room to spare for those who swing; then as long as there is enough for what is expected. */
const ROOMS: readonly CpuRoom[] = [
  { z: 1.5, share: 0.95 },
  { z: 0, share: 1 },
];

/** Empties hosts, or all of a site: where each guest goes, in which order and how many at a time. */
export function drain(inventory: Inventory, options: DrainOptions): DrainPlan {
  const drained = new Set(options.hosts);
  const hosts = inventory.hosts.map((host) =>
    drained.has(host.name) ? { ...host, draining: true } : host,
  );
  return new Drain(new Fleet({ hosts, guests: inventory.guests }), options).plan();
}

/** Guests that must stay together, or one alone. */
type Unit = readonly Seat[];

class Drain {
  readonly #fleet: Fleet;
  readonly #options: DrainOptions;
  readonly #refusals: Refusal[] = [];
  /** Bytes that will come to each host, as the time that its link takes, s. */
  readonly #busy = new Map<Place, number>();
  readonly #moves: PlannedMove[] = [];

  constructor(fleet: Fleet, options: DrainOptions) {
    this.#fleet = fleet;
    this.#options = options;
  }

  plan(): DrainPlan {
    const targets = this.#fleet.places.filter(
      ({ host }) => host.on && host.draining !== true && host.silent !== true,
    );
    const size = (unit: Unit): number =>
      unit.reduce((sum, { guest }) => sum + guest.memoryBytes, 0);
    // Large ones first: they have the fewest places to go.
    for (const unit of this.#units().toSorted((left, right) => size(right) - size(left))) {
      this.#place(unit, targets);
    }
    const { order, parallel, seconds, late } = this.#schedule();
    return { ...planOf(this.#fleet, order, this.#refusals), parallel, seconds, late };
  }

  #units(): Unit[] {
    const units: Seat[][] = [];
    const groups = new Map<string, Seat[]>();
    for (const seat of this.#fleet.seats) {
      if (seat.from.host.draining !== true) continue;
      const key = seat.grouped ? seat.guest.together : undefined;
      const group = key === undefined ? undefined : groups.get(key);
      if (group !== undefined) {
        group.push(seat);
        continue;
      }
      const unit = [seat];
      units.push(unit);
      if (key !== undefined) groups.set(key, unit);
    }
    return units;
  }

  #place(unit: Unit, targets: readonly Place[]): void {
    // A guest whose samples make no sense counts at its full size: it may go, since it must.
    const stays = unit.map((seat) => holds({ ...seat, grouped: false, unknown: false }));
    const [first] = unit;
    if (first === undefined) return;
    const held = stays.find((constraint) => constraint !== undefined);
    if (held !== undefined) {
      // Where one of a group stays, all do; it alone is the cause.
      for (const [place, seat] of unit.entries()) this.#refuse(seat, stays[place] ?? 'together');
      return;
    }
    const company = this.#company(unit, targets);
    if (company === 'nowhere') {
      for (const seat of unit) this.#refuse(seat, 'together');
      return;
    }
    for (const room of ROOMS) {
      const fits = this.#fits(unit, company, room);
      const [to, ...others] = fits;
      if (to === undefined) continue;
      for (const seat of unit) this.#move(seat, to, others);
      return;
    }
    for (const seat of unit) this.#refuse(seat, whyNot(seat, company));
  }

  /** Where a group's other guests are; all targets for a guest of no group, or when all of a group leave. */
  #company(unit: Unit, targets: readonly Place[]): readonly Place[] | 'nowhere' {
    const [first] = unit;
    if (first?.grouped !== true) return targets;
    const others = this.#fleet.seats.filter(
      (seat) => seat.guest.together === first.guest.together && !unit.includes(seat),
    );
    const [place] = others.map(({ at }) => at);
    if (place === undefined) return targets;
    return others.every(({ at }) => at === place) && targets.includes(place) ? [place] : 'nowhere';
  }

  /** Hosts with room for all of the unit, the one whose link is free soonest first. */
  #fits(unit: Unit, targets: readonly Place[], room: CpuRoom): Place[] {
    return targets
      .filter((place) => this.#takes(unit, place, room))
      .toSorted(
        (left, right) =>
          this.#linkTime(unit, left) - this.#linkTime(unit, right) ||
          right.need(room.z) / right.host.cpu - left.need(room.z) / left.host.cpu,
      );
  }

  #takes(unit: Unit, place: Place, room: CpuRoom): boolean {
    const taken: Seat[] = [];
    const fits = unit.every((seat) => {
      if (objection(seat, place) !== undefined || !hasCpu(seat, place, room)) return false;
      this.#fleet.move(seat, place);
      taken.push(seat);
      return true;
    });
    for (const seat of taken.toReversed()) this.#fleet.move(seat, seat.from);
    return fits;
  }

  #linkTime(unit: Unit, place: Place): number {
    const bytes = unit.reduce((sum, { guest }) => sum + guest.memoryBytes, 0);
    return (this.#busy.get(place) ?? 0) + bytes / linkOf(place);
  }

  #move(seat: Seat, to: Place, others: readonly Place[]): void {
    this.#busy.set(to, this.#linkTime([seat], to));
    this.#fleet.move(seat, to);
    const words = `${seat.from.host.name} is drained; ${to.host.name} has room and its link is free soonest`;
    this.#moves.push(moveOf(seat, { reason: 'drain', words, alternatives: others }));
  }

  #refuse({ guest, from }: Seat, constraint: Constraint): void {
    this.#refusals.push(refusal(constraint, guest.name, from.host.name));
  }

  #schedule(): {
    order: readonly PlannedMove[];
    parallel: number;
    seconds: number;
    late: string[];
  } {
    if (this.#moves.length === 0) return { order: [], parallel: 1, seconds: 0, late: [] };
    const seats = new Map(this.#fleet.seats.map((seat) => [seat.guest.name, seat]));
    const transfers = this.#moves.map((move): Transfer & { readonly move: PlannedMove } => {
      const guest = seats.get(move.guest)?.guest;
      return {
        move,
        from: move.from,
        to: move.to,
        memoryBytes: guest?.memoryBytes ?? 0,
        dirtyBytesPerSecond: guest?.dirtyBytesPerSecond ?? 0,
      };
    });
    const links: Links = {
      bytesPerSecond: (name) => linkOf(this.#fleet.byName.get(name)),
      parallel: this.#options.parallel ?? PARALLEL,
      perHost: this.#options.perHost ?? PER_HOST,
    };
    const { order, parallel, seconds } = bestSchedule(transfers, links);
    const late: string[] = [];
    totalSeconds(order, { ...links, parallel }, ({ move }, end) => {
      if (end > (this.#options.deadlineSeconds ?? Infinity)) late.push(move.guest);
    });
    return { order: order.map(({ move }) => move), parallel, seconds, late };
  }
}

const linkOf = (place: Place | undefined): number =>
  place?.host.linkBytesPerSecond ?? LINK_BYTES_PER_SECOND;
