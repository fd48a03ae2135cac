import type { FleetMigration, GuestStay } from '../../protocol/controller/history.ts';
import { defined } from '../../protocol/defined.ts';

const MAX_TRIES = 1000;

/**
 * A guest's hosts, newest first: its stays between successful migrations, with the failed attempts during each.
 * `migrations`: the guest's ended ones, oldest first. `at`: hosts that report it now.
 */
export function staysOf(migrations: readonly FleetMigration[], at: readonly string[]): GuestStay[] {
  const stays: Mutable[] = [];
  for (const each of migrations) {
    const last = stays.at(-1);
    // It came there by other means, or before the kept history.
    if (last?.host !== each.source) {
      if (last !== undefined) last.to ??= each.startedAt;
      stays.push({
        host: each.source,
        why: UNSEEN[last === undefined ? 'first' : 'later'],
        tries: [],
      });
    }
    const here = stays.at(-1);
    if (here === undefined) continue;
    if (each.outcome === 'done') {
      here.to = each.endedAt ?? each.startedAt;
      stays.push(arrival(each));
    } else if (isTry(each) && here.tries.length < MAX_TRIES) {
      here.tries.push({
        migration: each.id,
        to: each.destination,
        outcome: each.outcome,
        at: each.endedAt ?? each.startedAt,
        ...defined({ words: each.words }),
      });
    }
  }
  for (const host of at) {
    if (stays.some((each) => each.host === host && each.to === undefined)) continue;
    stays.push({ host, why: UNSEEN[stays.length === 0 ? 'first' : 'later'], tries: [] });
  }
  return stays.toReversed();
}

const UNSEEN = {
  first: 'it was there before anything that is kept',
  later: 'it came there by no migration that is kept',
} as const;

function isTry(
  each: FleetMigration,
): each is FleetMigration & { outcome: NonNullable<FleetMigration['outcome']> } {
  return each.outcome !== undefined && each.outcome !== 'rehearsed';
}

type Mutable = { -readonly [K in keyof GuestStay]: GuestStay[K] };

function arrival({
  id,
  source,
  destination,
  endedAt,
  startedAt,
  request,
  by,
}: FleetMigration): Mutable {
  const asked = request === undefined ? '' : `, for ${request}`;
  return {
    host: destination,
    from: endedAt ?? startedAt,
    why: `${id} brought it from ${source}${asked}`,
    migration: id,
    ...defined({ request, by }),
    tries: [],
  };
}
