import { sql } from 'kysely';
import { MAX_OF_ONE_SOURCE } from '../../protocol/public/recovery.ts';
import { guestInfo } from '../../protocol/public/hosts/host.ts';
import { isClaim } from '../../protocol/public/moving.ts';
import { mergeRows } from '../inventory/claims.ts';
import type { StandbyFacts } from '../requests/facts.ts';
import type { Store } from './store.ts';

export interface AskedStandby {
  readonly host: string;
  readonly guest: string;
  readonly to: string;
  /** ms since the answer, by the database's clock. */
  readonly ageMs: number;
  /** The reason why the host does not keep the guest; undefined: it keeps it. */
  readonly words: string | undefined;
}

export interface LabelledGuests {
  readonly covered: readonly string[];
  /** Some guests beyond the host's limit, to be named. */
  readonly beyond: readonly string[];
}

/** Limit of covered guests per host; any other host keeps as many. */
export const MAX_COVERED = MAX_OF_ONE_SOURCE;
const MAX_BEYOND = 8;
/** Rows for one host's guests, including refusals. */
export const MAX_ROWS = 8192;
/** The label as the inventory writes it. Quotes within values are escaped, so no other text contains it. */
const LABEL = '"godwit/recover":"true"';
export const MAX_WORDS = 1000;
/** Names and rows per statement. A name may have 64 long rows of each host. */
const NAMES_AT_ONCE = 32;
const ROWS_AT_ONCE = 100;
const HOSTS_AT_ONCE = 8;

/**
 * The labelled guests of these hosts. A moving guest belongs to the host of its newest report, but no host can take a
 * guest from one that does not report the move. Full texts are read only for names with several reports. `yieldTurn`:
 * called before each piece of work.
 */
export async function labelledGuests(
  store: Pick<Store, 'db' | 'nowMs'>,
  hosts: readonly string[],
  yieldTurn: () => Promise<void>,
): Promise<Map<string, LabelledGuests>> {
  const rows = new Map<string, readonly LabelledRow[]>();
  for (const host of await hostsWithLabel(store, hosts, yieldTurn)) {
    await yieldTurn();
    const own = await labelledRows(store, host);
    if (own.length > 0) rows.set(host, own);
  }
  const several = new Set<string>();
  for (const own of rows.values())
    for (const { name, reports } of own) if (reports > 1) several.add(name);
  const merged = await homesOf(store, [...several], yieldTurn);
  const found = new Map<string, LabelledGuests>();
  for (const [host, own] of rows) {
    const isHere = ({ name, state }: LabelledRow): boolean =>
      merged.get(name)?.has(host) ?? state !== 'incoming';
    const names = own.slice(0, MAX_COVERED).filter(isHere);
    const covered = names.map(({ name }) => name);
    found.set(host, { covered, beyond: own.slice(MAX_COVERED).map(({ name }) => name) });
  }
  return found;
}

/** Hosts that may have a labelled guest. SQLite's LIKE ignores case, so `labelledRows` compares again. */
async function hostsWithLabel(
  { db }: Pick<Store, 'db'>,
  hosts: readonly string[],
  yieldTurn: () => Promise<void>,
): Promise<string[]> {
  const found: string[] = [];
  for (let at = 0; at < hosts.length; at += HOSTS_AT_ONCE) {
    await yieldTurn();
    const rows = await db
      .selectFrom('guests')
      .select('host')
      .distinct()
      .where('host', 'in', hosts.slice(at, at + HOSTS_AT_ONCE))
      .where('info', 'like', `%${LABEL}%`)
      .execute();
    found.push(...rows.map(({ host }) => host));
  }
  return found;
}

interface LabelledRow {
  readonly name: string;
  readonly state: string;
  readonly reports: number;
}

async function labelledRows(
  { db }: Pick<Store, 'db'>,
  host: string,
): Promise<readonly LabelledRow[]> {
  const rows = await db
    .selectFrom('guests')
    .select((eb) => [
      'name',
      eb.fn.max('state').as('state'),
      eb
        .selectFrom('guests as all')
        .select((all) => all.fn.countAll<number>().as('count'))
        .whereRef('all.name', '=', 'guests.name')
        .as('reports'),
    ])
    .where('host', '=', host)
    .where('info', 'like', `%${LABEL}%`)
    // SQLite's LIKE ignores case.
    .where((eb) => sql<boolean>`replace(${eb.ref('info')}, ${LABEL}, '') <> ${eb.ref('info')}`)
    .groupBy('name')
    .orderBy('name')
    .limit(MAX_COVERED + MAX_BEYOND)
    .execute();
  return rows.map(({ name, state, reports }) => ({ name, state, reports: Number(reports) }));
}

/** Hosts that run a guest with the label, by its name, if several reports have the name. */
async function homesOf(
  { db, nowMs }: Pick<Store, 'db' | 'nowMs'>,
  names: readonly string[],
  yieldTurn: () => Promise<void>,
): Promise<Map<string, Set<string>>> {
  const homes = new Map<string, Set<string>>();
  for (let at = 0; at < names.length; at += NAMES_AT_ONCE) {
    await yieldTurn();
    const rows = await db
      .selectFrom('guests')
      .select(['host', 'name', 'uuid', 'state', 'info', 'changed_at'])
      .select(nowMs.as('now'))
      .where('name', 'in', names.slice(at, at + NAMES_AT_ONCE))
      .orderBy('host')
      .execute();
    for (const [name, namesakes] of Map.groupBy(rows, (row) => row.name)) {
      await yieldTurn();
      const guests = mergeRows(namesakes, namesakes[0]?.now ?? 0).flatMap(({ row, others }) => [
        ...(row.state === 'incoming' ? [] : [row]),
        ...others.filter(({ info }) => keepsIt(info, row.host)),
      ]);
      const here = guests.filter(({ info }) => info.includes(LABEL));
      homes.set(name, new Set(here.map(({ host }) => host)));
    }
  }
  return homes;
}

/**
 * Tells whether a host keeps a guest despite a newer report elsewhere. Its own report decides, because any host can
 * claim the guest. A guest that moved to `newest` belongs there.
 */
function keepsIt(info: string, newest: string): boolean {
  const report = guestInfo.safeParse(JSON.parse(info)).data;
  return (
    report !== undefined &&
    report.state !== 'stopped' &&
    isClaim(report) &&
    report.moving?.to !== newest
  );
}

export interface HostNow {
  readonly host: string;
  readonly state: string;
  readonly sinceMs: number;
  readonly nowMs: number;
}

export async function hostsNow({ db, nowMs }: Pick<Store, 'db' | 'nowMs'>): Promise<HostNow[]> {
  return db
    .selectFrom('hosts')
    .select(['name as host', 'state', 'since as sinceMs', nowMs.as('nowMs')])
    .execute();
}

export interface StandbyRow {
  readonly guest: string;
  readonly to: string;
  readonly isKept: boolean;
  readonly ageMs: number;
}

/**
 * Answers about one host's guests, without the long words. Rows of an earlier build beyond MAX_ROWS are read once
 * earlier ones are forgotten.
 */
export async function standbysOf(
  { db, nowMs }: Pick<Store, 'db' | 'nowMs'>,
  host: string,
): Promise<StandbyRow[]> {
  const rows = await db
    .selectFrom('standbys')
    .select((eb) => [
      'guest',
      'destination',
      eb.case().when('words', 'is', null).then(1).else(0).end().as('kept'),
      sql<number>`${nowMs} - ${eb.ref('kept_at')}`.as('age'),
    ])
    .where('source', '=', host)
    .orderBy('guest')
    .orderBy('destination')
    .limit(MAX_ROWS)
    .execute();
  return rows.map(({ guest, destination: to, kept, age }) => {
    return { guest, to, isKept: Number(kept) === 1, ageMs: age };
  });
}

export async function standbySources({ db }: Pick<Store, 'db'>): Promise<string[]> {
  const rows = await db.selectFrom('standbys').select('source').distinct().execute();
  return rows.map(({ source }) => source);
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

/** Key: `HOST GUEST`. Hosts that can start it, or a refusal. */
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

export async function forgetStandbysOf({ db }: Pick<Store, 'db'>, host: string): Promise<void> {
  await db.deleteFrom('standbys').where('source', '=', host).execute();
}

export async function forgetStandbys(
  { transaction }: Pick<Store, 'transaction'>,
  host: string,
  rows: readonly Pick<StandbyRow, 'guest' | 'to'>[],
): Promise<void> {
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    const some = rows.slice(at, at + ROWS_AT_ONCE);
    // Each alternative has the whole key, so that the index is used.
    await transaction((db) =>
      db
        .deleteFrom('standbys')
        .where((eb) =>
          eb.or(some.map(({ guest, to }) => eb.and({ source: host, guest, destination: to }))),
        )
        .execute(),
    );
  }
}
