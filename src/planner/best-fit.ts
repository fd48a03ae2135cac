import { hasCpu, objection, type CpuRoom } from './constraints.ts';
import type { Place, Seat } from './fleet.ts';
import type { Constraint } from './inventory.ts';
import { PlaceOrder } from './place-order.ts';

/** A chosen host and two that were worse. */
const CHOICES = 3;

/** The fullest hosts that still have room, the fullest first, at most three. */
export function bestFits(seat: Seat, candidates: readonly Place[], room: CpuRoom): Place[] {
  const best: { place: Place; left: number }[] = [];
  for (const place of candidates) {
    if (place === seat.at || place === seat.from) continue;
    const left = place.host.cpu * room.share - place.needWith(seat, room.z, room.lasting);
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
 * The same answer as `bestFits` of the places that `may` lets be looked at, without looking at all of them: places in
 * order of the room that they have left, so that the search ends where nobody can be better. See PlaceOrder for `may` and
 * `changed`.
 */
export class FitIndex {
  readonly #room: CpuRoom;
  /** By what they have left, the fullest first. */
  readonly #order: PlaceOrder;

  constructor(
    places: readonly Place[],
    room: CpuRoom,
    may: (place: Place) => boolean = () => true,
  ) {
    this.#room = room;
    const spareOf = (place: Place): number =>
      place.host.cpu * room.share - place.need(room.z, room.lasting);
    this.#order = new PlaceOrder(places, spareOf, may);
  }

  changed(place: Place): void {
    this.#order.changed(place);
  }

  /** At most three. */
  best(seat: Seat): Place[] {
    const room = this.#room;
    const { mean, variance } = seat.expected;
    const level = seat.expected.level ?? mean;
    const [least, most] =
      room.lasting === true ? [Math.min(mean, level), Math.max(mean, level)] : [mean, mean];
    // At most: among others that swing it takes less.
    const alone = most + room.z * Math.sqrt(variance);
    const best: { place: Place; left: number }[] = [];
    // A guest takes at least its mean, whatever shares the host with it.
    for (const place of this.#order.from(least - Math.abs(least) * HAIR)) {
      const bound = best[CHOICES - 1]?.left ?? Infinity;
      if ((this.#order.figure(place) - alone) * (1 - HAIR) > bound) break;
      if (place === seat.at || place === seat.from) continue;
      const left = place.host.cpu * room.share - place.needWith(seat, room.z, room.lasting);
      if (left < 0 || left > bound) continue;
      if (!hasCpu(seat, place, room) || objection(seat, place) !== undefined) continue;
      best.push({ place, left });
      best.sort((one, other) => one.left - other.left || one.place.number - other.place.number);
      best.length = Math.min(best.length, CHOICES);
    }
    return best.map(({ place }) => place);
  }
}

/** Room for rounding. */
const HAIR = 1e-9;

/** What keeps a guest from most of these hosts; `cpu` where nothing else does, `last-host` where there is no other. */
export function whyNot(seat: Seat, candidates: readonly Place[]): Constraint {
  const counts = new Map<Constraint, number>();
  for (const place of candidates) {
    if (place === seat.at) continue;
    const constraint = objection(seat, place) ?? 'cpu';
    counts.set(constraint, (counts.get(constraint) ?? 0) + 1);
  }
  if (counts.size === 0) return 'last-host';
  let most: Constraint = 'cpu';
  for (const [constraint, count] of counts) if (count > (counts.get(most) ?? 0)) most = constraint;
  return most;
}
