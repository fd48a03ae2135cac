import { estimate, type Estimate, type EstimateOptions } from './estimate.ts';
import type { Inventory, PlannerGuest, PlannerHost } from './inventory.ts';
import { sanitizeInventory } from './sanitize-inventory.ts';

export interface Seat {
  readonly guest: PlannerGuest;
  readonly from: Place;
  at: Place;
  readonly expected: Estimate;
  /** Implausible samples: counts at full size and never moves. */
  readonly unknown: boolean;
  /** Others must be on the same host. */
  readonly grouped: boolean;
}

export class Place {
  readonly host: PlannerHost;
  readonly number: number;
  readonly seats: Seat[] = [];
  mean = 0;
  variance = 0;
  /** Sum of its guests' mean demand so far. */
  level = 0;
  /**
   * Memory of all present and arriving guests, bytes, and the number of guests with anti-affinity. It never shrinks in
   * a plan, because a leaving guest stays until it has left; so moves may run in any order.
   */
  heldBytes = 0;
  readonly apart = new Map<string, number>();

  constructor(host: PlannerHost, number: number) {
    this.host = host;
    this.number = number;
  }

  /** Demand at `z` standard deviations. `lasting`: see CpuRoom. */
  need(z: number, lasting = false): number {
    const mean = lasting ? Math.max(this.mean, this.level) : this.mean;
    return mean + z * Math.sqrt(this.variance);
  }

  needWith(seat: Seat, z: number, lasting = false): number {
    const variance = this.variance + seat.expected.variance;
    const now = this.mean + seat.expected.mean;
    const mean = lasting ? Math.max(now, this.level + levelOf(seat)) : now;
    return mean + z * Math.sqrt(variance);
  }

  needWithout(seat: Seat, z: number): number {
    const variance = Math.max(0, this.variance - seat.expected.variance);
    return this.mean - seat.expected.mean + z * Math.sqrt(variance);
  }

  enter(seat: Seat): void {
    this.seats.push(seat);
    this.#count(seat, 1);
  }

  leave(seat: Seat): void {
    this.seats.splice(this.seats.indexOf(seat), 1);
    this.#count(seat, -1);
    if (this.seats.length > 0) return;
    this.mean = 0;
    this.variance = 0;
    this.level = 0;
  }

  #count(seat: Seat, sign: 1 | -1): void {
    const { expected } = seat;
    this.mean += sign * expected.mean;
    this.level += sign * levelOf(seat);
    this.variance = Math.max(0, this.variance + sign * expected.variance);
  }

  /** Counts the guest during the plan's execution; -1 undoes it. */
  hold({ guest }: Seat, change: 1 | -1): void {
    this.heldBytes += change * guest.memoryBytes;
    for (const group of guest.apart ?? []) {
      this.apart.set(group, (this.apart.get(group) ?? 0) + change);
    }
  }
}

const levelOf = ({ expected }: Seat): number => expected.level ?? expected.mean;

/** All hosts and guests with the moves chosen so far. */
export class Fleet {
  readonly places: readonly Place[];
  readonly seats: readonly Seat[];
  readonly byName: ReadonlyMap<string, Place>;
  /** Guests on a host that is not in the inventory. */
  readonly lost: readonly PlannerGuest[];

  constructor(reported: Inventory, options?: EstimateOptions) {
    const inventory = sanitizeInventory(reported);
    this.places = inventory.hosts.map((host, number) => new Place(host, number));
    this.byName = new Map(this.places.map((place) => [place.host.name, place]));
    const seats: Seat[] = [];
    const lost: PlannerGuest[] = [];
    const groups = new Map<string, number>();
    for (const { together } of inventory.guests) {
      if (together !== undefined) groups.set(together, (groups.get(together) ?? 0) + 1);
    }
    for (const guest of inventory.guests) {
      const place = this.byName.get(guest.host);
      if (place === undefined) {
        lost.push(guest);
        continue;
      }
      const known = estimate(guest, options);
      const expected = known ?? { mean: guest.cpu, variance: 0 };
      const target = guest.moving === true ? this.byName.get(guest.movingTo ?? '') : undefined;
      const at = target ?? place;
      const seat = {
        guest,
        from: place,
        at,
        expected,
        unknown: known === undefined,
        grouped: guest.together !== undefined && (groups.get(guest.together) ?? 0) > 1,
      };
      at.enter(seat);
      place.hold(seat, 1);
      if (at !== place) at.hold(seat, 1);
      seats.push(seat);
    }
    this.seats = seats;
    this.lost = lost;
  }

  move(seat: Seat, to: Place): void {
    seat.at.leave(seat);
    if (seat.at !== seat.from) seat.at.hold(seat, -1);
    seat.at = to;
    to.enter(seat);
    if (to !== seat.from) to.hold(seat, 1);
  }
}
