import { hasCpu, holds, objection, wordsOf, type CpuRoom } from './constraints.ts';
import type { Place, Seat } from './fleet.ts';
import type { Constraint } from './inventory.ts';

/** `not-worth`: there is a host for it, but the move costs more than it gains. */
type Cause = Constraint | 'not-worth';

export interface Stuck {
  readonly constraint: Constraint;
  readonly words: string;
}

export interface StuckOptions {
  readonly near: readonly Place[];
  readonly room: CpuRoom;
  readonly rests: (seat: Seat) => boolean;
}

const NOT_WORTH = 'the move costs more than it brings';

/** Explains why no guest leaves an overloaded host: the commonest obstacle, with an example. */
export function whyStuck(place: Place, options: StuckOptions): Stuck {
  const asked = `${place.host.name}: is asked for more than it has`;
  const others = options.near.filter((each) => each !== place && canTake(each));
  if (others.length === 0)
    return { constraint: 'last-host', words: `${asked}, and ${wordsOf('last-host')}` };
  const causes = place.seats.map((seat) => causeOf(seat, others, options));
  const most = commonest(causes.map(({ cause }) => cause));
  const words = causes.find(({ cause }) => cause === most)?.words ?? NOT_WORTH;
  return {
    constraint: most === 'not-worth' || most === undefined ? 'cpu' : most,
    words: `${asked}, and no guest leaves; ${words}`,
  };
}

const canTake = ({ host }: Place): boolean =>
  host.on && host.silent !== true && host.draining !== true;

function causeOf(
  seat: Seat,
  others: readonly Place[],
  { room, rests }: StuckOptions,
): { readonly cause: Cause; readonly words: string } {
  const { name } = seat.guest;
  const held = holds(seat) ?? (rests(seat) ? 'rests' : undefined);
  if (held !== undefined) {
    const own = held === 'never-move' ? seat.guest.whyNever : undefined;
    return { cause: held, words: `${name}: ${own ?? wordsOf(held)}` };
  }
  const causes = others.map((each): Cause => {
    return objection(seat, each) ?? (hasCpu(seat, each, room) ? 'not-worth' : 'cpu');
  });
  const cause = causes.includes('not-worth') ? 'not-worth' : (commonest(causes) ?? 'not-worth');
  if (cause === 'not-worth') return { cause, words: `${name}: ${NOT_WORTH}` };
  const host = others[causes.indexOf(cause)]?.host.name ?? '';
  return { cause, words: `${name}: ${host}: ${wordsOf(cause)}` };
}

function commonest<T>(values: readonly T[]): T | undefined {
  const counts = new Map<T, number>();
  for (const each of values) counts.set(each, (counts.get(each) ?? 0) + 1);
  let most: T | undefined;
  for (const [each, count] of counts)
    if (most === undefined || count > (counts.get(most) ?? 0)) most = each;
  return most;
}
