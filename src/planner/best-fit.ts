import { hasCpu, objection, type CpuRoom } from './constraints.ts';
import type { Place, Seat } from './fleet.ts';
import type { Constraint } from './inventory.ts';
import { PlaceOrder } from './place-order.ts';

const CHOICES = 3;

/** The fullest hosts with room, fullest first, at most three. */
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
 * The same result as `bestFits` for the places accepted by `may`, with a bounded search in order of free room. See
 * PlaceOrder for `may` and `changed`.
 */
export class FitIndex {
  readonly #room: CpuRoom;
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

  best(seat: Seat): Place[] {
    const room = this.#room;
    const { mean, variance } = seat.expected;
    const level = seat.expected.level ?? mean;
    const [least, most] =
      room.lasting === true ? [Math.min(mean, level), Math.max(mean, level)] : [mean, mean];
    const alone = most + room.z * Math.sqrt(variance);
    const best: { place: Place; left: number }[] = [];
    // A guest takes at least its mean on any host.
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

const HAIR = 1e-9;

/** The commonest obstacle at these hosts; `cpu` if there is no other, `last-host` without hosts. */
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
