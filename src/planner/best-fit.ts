import { hasCpu, objection } from './constraints.ts';
import type { CpuRoom } from './constraints.ts';
import type { Place, Seat } from './fleet.ts';
import type { Constraint } from './inventory.ts';

/** A chosen host and two that were worse. */
const CHOICES = 3;

/** The fullest hosts that still have room, the fullest first, at most three. */
export function bestFits(seat: Seat, candidates: readonly Place[], room: CpuRoom): Place[] {
  const best: { place: Place; left: number }[] = [];
  for (const place of candidates) {
    if (place === seat.at || place === seat.from) continue;
    const left = place.host.cpu * room.share - place.needWith(seat, room.z);
    if (left < 0) continue;
    if (best.length === CHOICES && left >= (best[CHOICES - 1]?.left ?? 0)) continue;
    if (!hasCpu(seat, place, room) || objection(seat, place) !== undefined) continue;
    best.push({ place, left });
    best.sort((one, other) => one.left - other.left);
    best.length = Math.min(best.length, CHOICES);
  }
  return best.map(({ place }) => place);
}

/**
 * The same answer as `bestFits` of all places, without looking at all of them: places in order of the room that they have
 * left, so that the search ends where nobody can be better. `changed` must hear of each place that takes or loses a guest.
 */
export class FitIndex {
  readonly #room: CpuRoom;
  readonly #numbers: ReadonlyMap<Place, number>;
  readonly #spare: Float64Array;
  /** Places by what they have left, the fullest first. */
  readonly #order: Place[];

  constructor(places: readonly Place[], room: CpuRoom) {
    this.#room = room;
    this.#numbers = new Map(places.map((place, number) => [place, number]));
    this.#spare = Float64Array.from(places, (place) => this.#spareOf(place));
    this.#order = places.toSorted((left, right) => this.#compare(left, right));
  }

  changed(place: Place): void {
    const number = this.#numbers.get(place);
    if (number === undefined) return;
    this.#order.splice(this.#placeOf(place), 1);
    this.#spare[number] = this.#spareOf(place);
    this.#order.splice(this.#placeOf(place), 0, place);
  }

  /** At most three of the places that `may` lets be looked at. */
  best(seat: Seat, may: (place: Place) => boolean): Place[] {
    const room = this.#room;
    const { mean, variance } = seat.expected;
    // At most: among others that swing it takes less.
    const alone = mean + room.z * Math.sqrt(variance);
    const best: { place: Place; left: number; number: number }[] = [];
    // A guest takes at least its mean, whatever shares the host with it.
    for (let at = this.#firstWith(mean); at < this.#order.length; at += 1) {
      const place = this.#order[at];
      if (place === undefined) break;
      const number = this.#numbers.get(place) ?? 0;
      const most = best[CHOICES - 1]?.left ?? Infinity;
      if (((this.#spare[number] ?? 0) - alone) * (1 - HAIR) > most) break;
      if (place === seat.at || place === seat.from || !may(place)) continue;
      const left = place.host.cpu * room.share - place.needWith(seat, room.z);
      if (left < 0 || left > most) continue;
      if (!hasCpu(seat, place, room) || objection(seat, place) !== undefined) continue;
      best.push({ place, left, number });
      best.sort((one, other) => one.left - other.left || one.number - other.number);
      best.length = Math.min(best.length, CHOICES);
    }
    return best.map(({ place }) => place);
  }

  #spareOf(place: Place): number {
    return place.host.cpu * this.#room.share - place.need(this.#room.z);
  }

  #compare(left: Place, right: Place): number {
    const [one, other] = [this.#numbers.get(left) ?? 0, this.#numbers.get(right) ?? 0];
    return (this.#spare[one] ?? 0) - (this.#spare[other] ?? 0) || one - other;
  }

  #placeOf(place: Place): number {
    return this.#search((each) => this.#compare(each, place) < 0);
  }

  #firstWith(least: number): number {
    const from = least - Math.abs(least) * HAIR;
    return this.#search((each) => (this.#spare[this.#numbers.get(each) ?? 0] ?? 0) < from);
  }

  /** The number of places before the first one of which `before` does not hold. */
  #search(before: (place: Place) => boolean): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const place = this.#order[middle];
      if (place !== undefined && before(place)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Room for rounding. */
const HAIR = 1e-9;

/** What keeps a guest from most of these hosts; `cpu` where nothing else does. */
export function whyNot(seat: Seat, candidates: readonly Place[]): Constraint {
  const counts = new Map<Constraint, number>();
  for (const place of candidates) {
    if (place === seat.at) continue;
    const constraint = objection(seat, place) ?? 'cpu';
    counts.set(constraint, (counts.get(constraint) ?? 0) + 1);
  }
  let most: Constraint = 'cpu';
  for (const [constraint, count] of counts) if (count > (counts.get(most) ?? 0)) most = constraint;
  return most;
}
