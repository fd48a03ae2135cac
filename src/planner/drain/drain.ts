import { holds } from '../constraints.ts';
import { Destinations, type Unit } from '../destinations.ts';
import { whyNot } from '../best-fit.ts';
import { timesOf } from './drain-times.ts';
import type { DrainOptions, DrainPlan, RunningMove } from './drain-options.ts';
import { Fleet, type Place, type Seat } from '../fleet.ts';
import type { Constraint, Inventory, PlannedMove, Refusal } from '../inventory.ts';
import { moveOf, planOf, refusal } from '../plan.ts';

export type { DrainOptions, DrainPlan, RunningMove } from './drain-options.ts';

/**
 * Plans to empty hosts or a site: destinations, order, parallelism and start times with the earliest end. During the
 * drain the same call with the running moves gives the rest.
 */
export function drain(inventory: Inventory, options: DrainOptions): DrainPlan {
  const drained = new Set(options.hosts);
  const hosts = inventory.hosts.map((host) =>
    drained.has(host.name) ? { ...host, draining: true } : host,
  );
  return new Drain(new Fleet({ hosts, guests: inventory.guests }), options).plan();
}

class Drain {
  readonly #fleet: Fleet;
  readonly #options: DrainOptions;
  readonly #refusals: Refusal[] = [];
  readonly #targets: readonly Place[];
  readonly #nobody: Constraint;
  readonly #destinations: Destinations;
  readonly #running = new Map<Seat, RunningMove>();

  constructor(fleet: Fleet, options: DrainOptions) {
    this.#fleet = fleet;
    this.#options = options;
    const able = fleet.places.filter(
      ({ host }) => host.on && host.draining !== true && host.silent !== true,
    );
    this.#targets = able.filter(({ host }) => options.to?.includes(host.name) !== false);
    this.#nobody = able.length === 0 ? 'last-host' : 'no-target';
    this.#destinations = new Destinations(fleet, options, this.#targets);
  }

  plan(): DrainPlan {
    this.#refuseUnknown();
    this.#countRunning();
    const units = this.#units().toSorted(
      (left, right) => priorityOf(right) - priorityOf(left) || memoryOf(right) - memoryOf(left),
    );
    // Large ones first within a priority, because they have the fewest destinations.
    for (const unit of units) this.#place(unit);
    this.#destinations.even();
    const moves = new Map<Seat, PlannedMove>();
    for (const unit of units) {
      const others = this.#destinations.othersOf(unit);
      if (others !== undefined) for (const seat of unit) moves.set(seat, drainMove(seat, others));
    }
    const { order, ...times } = timesOf(this.#fleet, [...moves.keys()], {
      options: this.#options,
      running: this.#running,
    });
    const inOrder = order.flatMap((seat) => moves.get(seat) ?? []);
    return { ...planOf(this.#fleet, inOrder, this.#refusals), ...times };
  }

  #refuseUnknown(): void {
    const { hosts, to = [] } = this.#options;
    for (const host of new Set([...hosts, ...to])) {
      if (this.#fleet.byName.has(host)) continue;
      const words = `${host}: no host of that name is in the inventory`;
      this.#refusals.push({ constraint: 'unknown-host', host, words });
    }
  }

  /** Running moves use memory at their destinations, and links. */
  #countRunning(): void {
    const running = new Map((this.#options.running ?? []).map((each) => [each.guest, each]));
    for (const seat of this.#fleet.seats) {
      const move = running.get(seat.guest.name);
      const to = move === undefined ? undefined : this.#fleet.byName.get(move.to);
      if (move === undefined || to === undefined || to === seat.from) continue;
      this.#destinations.count(seat, to);
      this.#fleet.move(seat, to);
      this.#running.set(seat, move);
    }
  }

  #units(): Unit[] {
    const units: Seat[][] = [];
    const groups = new Map<string, Seat[]>();
    for (const seat of this.#fleet.seats) {
      if (seat.from.host.draining !== true || this.#running.has(seat)) continue;
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

  #place(unit: Unit): void {
    // A guest with implausible samples counts at full size: it must move anyway.
    const stays = unit.map((seat) => holds({ ...seat, grouped: false, unknown: false }));
    if (stays.some((constraint) => constraint !== undefined)) {
      for (const [place, seat] of unit.entries()) this.#refuse(seat, stays[place] ?? 'together');
      return;
    }
    const company = this.#destinations.company(unit);
    if (this.#targets.length === 0) {
      for (const seat of unit) this.#refuse(seat, this.#nobody);
    } else if (company === 'nowhere') {
      for (const seat of unit) this.#refuse(seat, 'together');
    } else if (!this.#destinations.place(unit, company)) {
      for (const seat of unit) this.#refuse(seat, whyNot(seat, company));
    }
  }

  #refuse({ guest, from }: Seat, constraint: Constraint): void {
    this.#refusals.push(refusal(constraint, guest.name, from.host.name));
  }
}

function drainMove(seat: Seat, others: readonly Place[]): PlannedMove {
  const words = `${seat.from.host.name} is drained; ${seat.at.host.name} has room, and the links to it are done soonest`;
  return moveOf(seat, { reason: 'drain', words, alternatives: others });
}

const priorityOf = (unit: Unit): number =>
  Math.max(...unit.map(({ guest }) => guest.priority ?? 0));

const memoryOf = (unit: Unit): number =>
  unit.reduce((sum, { guest }) => sum + guest.memoryBytes, 0);
