import { sql } from 'kysely';
import { guestInfo } from '../../protocol/public/hosts/host.ts';
import { mergeRows } from '../inventory/claims.ts';
import type { StandbyFacts } from '../wishes/facts.ts';
import type { Store } from './store.ts';

/** A guest that is to be started elsewhere should its host die. */
export interface Covered {
  readonly host: string;
  readonly guest: string;
}

/** What was asked of one host last about one guest of another. */
export interface AskedStandby extends Covered {
  readonly to: string;
  /** ms since it was asked, by the database's clock. */
  readonly ageMs: number;
  /** Why it does not keep it; undefined: it does. */
  readonly words: string | undefined;
}

/** A guest's labels as the inventory writes them. */
const LABELLED = '%"godwit/recover":"true"%';
const MAX_WORDS = 1000;

/** All guests whose label asks for it, with their hosts. One that moves is at the host that its newest report names. */
export async function coveredGuests({
  db,
  nowMs,
}: Pick<Store, 'db' | 'nowMs'>): Promise<Covered[]> {
  const labelled = db.selectFrom('guests').select('name').where('info', 'like', LABELLED);
  const rows = await db
    .selectFrom('guests')
    .selectAll()
    .select(nowMs.as('now'))
    .where('name', 'in', labelled)
    .orderBy('name')
    .orderBy('host')
    .execute();
  return mergeRows(rows, rows[0]?.now ?? 0).flatMap(({ row: { host, state, info } }) => {
    const { name, labels } = guestInfo.parse(JSON.parse(info));
    if (state === 'incoming') return [];
    return labels?.['godwit/recover'] === 'true' ? [{ host, guest: name }] : [];
  });
}

/** How a host stands, since when, and what time it is by the database's clock. */
export interface HostNow {
  readonly host: string;
  readonly state: string;
  readonly sinceMs: number;
  readonly nowMs: number;
}

/** Names and states alone: what is known of a whole fleet is much to read. */
export async function hostsNow({ db, nowMs }: Pick<Store, 'db' | 'nowMs'>): Promise<HostNow[]> {
  return db
    .selectFrom('hosts')
    .select(['name as host', 'state', 'since as sinceMs', nowMs.as('nowMs')])
    .execute();
}

export async function askedStandbys({
  db,
  nowMs,
}: Pick<Store, 'db' | 'nowMs'>): Promise<AskedStandby[]> {
  const rows = await db
    .selectFrom('standbys')
    .select(['source', 'guest', 'destination', 'words'])
    .select((eb) => sql<number>`${nowMs} - ${eb.ref('kept_at')}`.as('age'))
    .execute();
  return rows.map(({ source, guest, destination, words, age }) => {
    return { host: source, guest, to: destination, ageMs: age, words: words ?? undefined };
  });
}

/** By `HOST GUEST`: who can start it, or what one of those said that cannot. */
export async function standbyFacts(
  store: Pick<Store, 'db' | 'nowMs'>,
): Promise<Map<string, StandbyFacts>> {
  const found = new Map<string, StandbyFacts>();
  for (const { host, guest, to, words } of await askedStandbys(store)) {
    const key = `${host} ${guest}`;
    const before = found.get(key) ?? { hosts: [] };
    found.set(
      key,
      words === undefined
        ? { ...before, hosts: [...before.hosts, to] }
        : { ...before, words: `${to}: ${words}` },
    );
  }
  return found;
}

export async function writeStandby(
  { transaction, nowMs }: Pick<Store, 'transaction' | 'nowMs'>,
  { host, guest, to, words }: Omit<AskedStandby, 'ageMs'>,
): Promise<void> {
  const said = { kept_at: sql<number>`${nowMs}`, words: words?.slice(0, MAX_WORDS) ?? null };
  await transaction((db) =>
    db
      .insertInto('standbys')
      .values({ source: host, guest, destination: to, ...said })
      .onConflict((conflict) =>
        conflict.columns(['source', 'guest', 'destination']).doUpdateSet(said),
      )
      .execute(),
  );
}

/** Hosts that have left the fleet keep nothing, and nothing is kept of them. */
export async function forgetStandbysOf({ db }: Pick<Store, 'db'>, host: string): Promise<void> {
  await db
    .deleteFrom('standbys')
    .where((eb) => eb.or([eb('source', '=', host), eb('destination', '=', host)]))
    .execute();
}

/** Guests that are on that host no more, or are not to be started elsewhere any more. */
export async function forgetStandbys(
  { transaction }: Pick<Store, 'transaction'>,
  { host, guest }: Covered,
): Promise<void> {
  await transaction((db) =>
    db.deleteFrom('standbys').where('source', '=', host).where('guest', '=', guest).execute(),
  );
}
