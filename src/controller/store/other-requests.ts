import type { Limits, Other, Reservation } from '../requests/facts.ts';
import { MAX_LISTED, readRequest, type Db } from './request-rows.ts';

/** Turns between requests matter this close to the fleet's limit, in moves. */
const NEAR_LIMIT = 64;

interface Read {
  readonly version: number;
  readonly waiting: number;
}

/** Unchanged requests are not read again, since hundreds are checked several times a second. */
export class OtherRequests {
  #read: ReadonlyMap<string, Read> = new Map();

  async of(db: Db, reservations: readonly Reservation[], { fleet }: Limits): Promise<Other[]> {
    const moving = reservations.filter(({ source }) => source !== undefined);
    if (moving.length + NEAR_LIMIT < fleet) {
      this.#read = new Map();
      return [];
    }
    const rows = await db
      .selectFrom('requests')
      .select(['id', 'priority', 'version'])
      .where('ended_at', 'is', null)
      .limit(MAX_LISTED)
      .execute();
    const before = this.#read;
    const fresh = rows.filter(({ id, version }) => before.get(id)?.version !== version);
    const read = new Map(rows.flatMap(({ id }) => entryOf(before, id)));
    for (const [id, each] of await readAnew(
      db,
      fresh.map(({ id }) => id),
    ))
      read.set(id, each);
    this.#read = read;
    const running = Map.groupBy(moving, ({ request }) => request);
    return rows.map(({ id, priority }) => ({
      request: id,
      priority,
      running: running.get(id)?.length ?? 0,
      waiting: read.get(id)?.waiting ?? 0,
    }));
  }
}

const entryOf = (all: ReadonlyMap<string, Read>, id: string): [string, Read][] => {
  const each = all.get(id);
  return each === undefined ? [] : [[id, each]];
};

async function readAnew(db: Db, ids: readonly string[]): Promise<[string, Read][]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('requests')
    .select(['id', 'version', 'body'])
    .where('id', 'in', ids)
    .execute();
  return rows.map(({ id, version, body }) => {
    const { queue } = readRequest(body);
    const waiting = queue.filter(
      ({ waitsFor }) => waitsFor === 'fleet-limit' || waitsFor === 'turn',
    );
    return [id, { version, waiting: waiting.length }];
  });
}
