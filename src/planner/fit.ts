import { hasCpu, objection } from './constraints.ts';
import type { CpuRoom } from './constraints.ts';
import type { Place, Seat } from './fleet.ts';
import type { Constraint } from './inventory.ts';

/** A chosen host and two that were worse. */
const CHOICES = 3;

/**
 * The fullest hosts that still have room, the fullest first, at most three. `gather` is how much it counts that guests
 * who swing share a host: together they need less room to spare than apart.
 */
export function bestFits(
  seat: Seat,
  candidates: readonly Place[],
  room: CpuRoom,
  gather = 0,
): Place[] {
  const best: { place: Place; left: number }[] = [];
  for (const place of candidates) {
    if (place === seat.at || place === seat.from) continue;
    const need = place.needWith(seat, room.z);
    const spare = place.host.cpu * room.share - need;
    if (spare < 0) continue;
    const left = spare + gather * (need - place.need(room.z));
    if (best.length === CHOICES && left >= (best[CHOICES - 1]?.left ?? 0)) continue;
    if (!hasCpu(seat, place, room) || objection(seat, place) !== undefined) continue;
    best.push({ place, left });
    best.sort((one, other) => one.left - other.left);
    best.length = Math.min(best.length, CHOICES);
  }
  return best.map(({ place }) => place);
}

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
