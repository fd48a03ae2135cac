import type { SeenMove } from './loads.ts';

/** A move by Godwit; `endedAtMs` is absent while it runs. */
export interface OwnMove {
  readonly guest: string;
  readonly createdAtMs: number;
  readonly endedAtMs?: number;
}

/** One may be a person's move. From this many within the kept looks, another balancer is at work. */
const BALANCES = 2;
/** Hosts report arrived guests with this delay. */
const LATE_MS = 60_000;

export function foreignMoves(seen: readonly SeenMove[], own: readonly OwnMove[]): SeenMove[] {
  const byGuest = Map.groupBy(own, ({ guest }) => guest);
  return seen.filter(({ guest, fromMs, untilMs }) => {
    const moves = byGuest.get(guest) ?? [];
    return !moves.some(
      ({ createdAtMs, endedAtMs = Infinity }) =>
        createdAtMs <= untilMs && endedAtMs >= fromMs - LATE_MS,
    );
  });
}

export function otherBalancerWords(
  moves: readonly SeenMove[],
  isOurs: (host: string) => boolean,
): string | undefined {
  const ours = moves.filter(({ from, to }) => isOurs(from) && isOurs(to));
  const last = ours.at(-1);
  if (last === undefined || ours.length < BALANCES) return undefined;
  return `somebody else moves guests here: ${ours.length} moves within three hours that Godwit did not make, the last one of ${last.guest} from ${last.from} to ${last.to}. Two would move guests to and fro: switch the other one off, or leave this policy at propose`;
}
