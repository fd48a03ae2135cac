import { sql, type Selectable } from 'kysely';
import { godwitError } from '../../errors.ts';
import type { controllerContract } from '../../protocol/controller/contract.ts';
import type { FleetGuest, HostState, ListedHost } from '../../protocol/controller/fleet.ts';
import { guestInfo, hostInfo } from '../../protocol/public/hosts/host.ts';
import type { HostLoad } from '../../protocol/public/hosts/load.ts';
import { hasLabel } from '../../protocol/labels.ts';
import { cursorAt, keyIn } from '../../protocol/public/page.ts';
import type { RouteAnswer } from '../../protocol/route.ts';
import type { Call } from '../../rpc/server.ts';
import type { ControllerConfig } from '../config.ts';
import { guestOfRow, hostOfRow, momentOf, pointOf } from '../inventory/answers.ts';
import { isOfLease } from '../inventory/leases.ts';
import { claimants, identityOf, mergeRows } from '../inventory/claims.ts';
import { claimsOf } from '../inventory/conflicts.ts';
import type { Inventory } from '../inventory/inventory.ts';
import { rolledUp } from '../inventory/rollups.ts';
import { shardOf } from '../inventory/shards.ts';
import { withPower, type PowerNow } from '../power/shown.ts';
import type { Store } from '../store/store.ts';
import { powerNow } from '../store/power-rows.ts';
import type { GuestRow, Tables } from '../store/tables.ts';

type C = typeof controllerContract;

export interface ReadHandlerDependencies {
  readonly store: Store;
  readonly inventory: Inventory;
  readonly config: Pick<ControllerConfig, 'power'>;
}

/** Read together with the rows: each query waits for its turn in a busy process. */
interface Following {
  readonly nowMs: number;
  readonly power: PowerNow;
  readonly by: ReadonlyMap<
    number,
    { readonly name: string | undefined; readonly untilMs: number; readonly epoch: number }
  >;
}

async function following({ store, config }: ReadHandlerDependencies): Promise<Following> {
  const [rows, power] = await Promise.all([
    store.db
      .selectFrom('host_leases')
      .leftJoin('controllers', 'controllers.id', 'host_leases.owner')
      .select(['shard', 'lease_until', 'epoch', 'controllers.name as name', store.nowMs.as('now')])
      .execute(),
    powerNow(store, config.power),
  ]);
  const by = rows.map(
    ({ shard, lease_until: untilMs, epoch, name }) =>
      [shard, { name: name ?? undefined, untilMs, epoch }] as const,
  );
  return { nowMs: rows[0]?.now ?? 0, power, by: new Map(by) };
}

type HostColumns = Omit<Selectable<Tables['hosts']>, 'info' | 'changed_at'>;

const HOST_COLUMNS = [
  ...(['name', 'address', 'shard', 'state', 'since', 'reason', 'version', 'cores'] as const),
  ...(['memory_bytes', 'memory_available_bytes', 'guests', 'site', 'managed'] as const),
  ...(['excess', 'excess_since', 'epoch'] as const),
] as const;

function current<T extends HostColumns>(row: T, leases: Following): T & { state: HostState } {
  return withPower(row.name, followedState(row, leases), leases.power);
}

/** The last state of a host that is not followed is unknown. */
function followedState<T extends HostColumns>(
  row: T,
  { by, nowMs }: Following,
): T & { state: HostState } {
  const lease = by.get(row.shard);
  if (isOfLease(row, lease, nowMs)) return { ...row, state: row.state as HostState };
  const since = lease === undefined || lease.untilMs === 0 ? row.since : lease.untilMs;
  return { ...row, state: 'unfollowed', since: Math.min(since, nowMs) };
}

interface Marks {
  readonly draining_for: string | null;
  readonly draining_since: number | null;
  readonly maintenance: string | null;
  readonly ill_since: number | null;
  readonly ill_words: string | null;
  readonly ill_request: string | null;
}
type MarkedHostRow = HostColumns & Marks;

function reported(
  deps: ReadHandlerDependencies,
  row: MarkedHostRow,
  leases: Following,
): ListedHost {
  const now = current(row, leases);
  const by = now.state === 'unfollowed' ? undefined : leases.by.get(row.shard)?.name;
  const load = now.state === 'up' ? deps.inventory.samplesOf(row.name)?.newest : undefined;
  const { draining_for: request, draining_since: sinceMs } = row;
  const closed =
    request === null || sinceMs === null ? {} : { closed: { request, since: momentOf(sinceMs) } };
  return { ...hostOfRow(now, by, load), ...closed, ...noted(row) };
}

function noted(marks: Marks): Pick<ListedHost, 'ill' | 'maintenance'> {
  const { maintenance, ill_since: sinceMs, ill_words: hardware, ill_request: request } = marks;
  const note = maintenance === null ? {} : { maintenance };
  if (sinceMs === null) return note;
  const words = hardware || 'it is noted for maintenance';
  const drain = request === null ? {} : { request };
  return { ...note, ill: { since: momentOf(sinceMs), words, ...drain } };
}

function markedHosts({ store }: ReadHandlerDependencies) {
  return store.db
    .selectFrom('hosts')
    .leftJoin('host_marks', 'host_marks.host', 'hosts.name')
    .leftJoin('host_health', 'host_health.host', 'hosts.name')
    .select(['draining_for', 'draining_since', 'maintenance'])
    .select(['began_at as ill_since', 'words as ill_words', 'request as ill_request']);
}

export async function readHosts(
  deps: ReadHandlerDependencies,
  { query }: Call<C['hosts']>,
): Promise<RouteAnswer<C['hosts']>> {
  const { limit, cursor, state } = query;
  let rows = markedHosts(deps).select(HOST_COLUMNS).orderBy('name');
  const [after] = cursor === undefined ? [] : keyIn(cursor);
  if (after !== undefined) rows = rows.where('name', '>', after);
  if (state === 'asleep')
    rows = rows.where('name', 'in', (eb) => eb.selectFrom('host_power').select('host'));
  else if (state !== undefined && state !== 'unfollowed') rows = rows.where('state', '=', state);
  const [leases, found] = await Promise.all([following(deps), rows.limit(limit + 1).execute()]);
  const page = found.slice(0, limit);
  const hosts = page
    .map((row) => reported(deps, row, leases))
    .filter((host) => state === undefined || host.state === state);
  const last = page.at(-1);
  if (last === undefined || found.length <= limit) return { hosts };
  return { hosts, next: cursorAt([last.name]) };
}

export async function readHost(
  deps: ReadHandlerDependencies,
  { params }: Call<C['host']>,
): Promise<RouteAnswer<C['host']>> {
  const query = markedHosts(deps).selectAll('hosts').where('name', '=', params.host);
  const [leases, row] = await Promise.all([following(deps), query.executeTakeFirst()]);
  if (row === undefined) throw godwitError('GODWIT_HOST_UNKNOWN', { host: params.host });
  const host = reported(deps, row, leases);
  return row.info === null ? host : { ...host, info: hostInfo.parse(JSON.parse(row.info)) };
}

export async function readSamples(
  deps: ReadHandlerDependencies,
  { params: { host }, query: { span } }: Call<C['samples']>,
): Promise<RouteAnswer<C['samples']>> {
  const { store, inventory } = deps;
  const own = inventory.samplesOf(host);
  if (own === undefined) {
    const row = await store.db
      .selectFrom('hosts')
      .select('name')
      .where('name', '=', host)
      .executeTakeFirst();
    if (row === undefined) throw godwitError('GODWIT_HOST_UNKNOWN', { host });
  }
  if (span === 'sample')
    return { points: (own?.points(span) ?? []).map((each) => pointOf(each, true)) };
  // Memory first: a row written during the query is then in both, not in neither.
  const unwritten = own?.points(span) ?? [];
  const written = await rolledUp(store, { host, shard: shardOf(host) }, span);
  const all = new Map([...written, ...unwritten].map((each) => [each.atMs, each]));
  const points = [...all.values()].toSorted((one, other) => one.atMs - other.atMs);
  return { points: points.map((each) => pointOf(each, false)) };
}

/** `rows` has all reports of the guests with those names. */
async function reportedGuests(deps: ReadHandlerDependencies, rows: readonly GuestRow[]) {
  const { store } = deps;
  if (rows.length === 0) return [];
  const names = [...new Set(rows.map(({ host }) => host))];
  const [leases, found, claims] = await Promise.all([
    following(deps),
    store.db.selectFrom('hosts').select(HOST_COLUMNS).where('name', 'in', names).execute(),
    claimsOf(store, rows),
  ]);
  const hosts = new Map(found.map((row) => [row.name, current(row, leases)]));
  const uses = new Map(names.map((name) => [name, usesOf(deps.inventory.samplesOf(name)?.newest)]));
  return mergeRows(rows, leases.nowMs).map((merged) => {
    const { row } = merged;
    const host = hosts.get(row.host) ?? { state: 'unfollowed' as const, since: row.changed_at };
    const claimed = claimants(claims.get(identityOf(row)) ?? [], leases.nowMs);
    const load = host.state === 'up' ? uses.get(row.host)?.get(row.name) : undefined;
    return { row, guest: guestOfRow(merged, host, claimed, load) };
  });
}

function usesOf(load: HostLoad | undefined): ReadonlyMap<string, FleetGuest['load']> {
  return new Map(load?.guests.map(({ name, ...use }) => [name, use]));
}

type ReportedGuest = Awaited<ReturnType<typeof reportedGuests>>[number];

export async function readGuests(
  deps: ReadHandlerDependencies,
  { query }: Call<C['guests']>,
): Promise<RouteAnswer<C['guests']>> {
  const { limit, cursor, host, name, label, find, state, movable } = query;
  const [afterName, afterUuid] = cursor === undefined ? [] : keyIn(cursor);
  // Read at one moment; otherwise a guest that moves meanwhile could be missing.
  const rows = await deps.store.db
    .selectFrom('guests')
    .selectAll()
    .where('name', 'in', (eb) => {
      let names = eb.selectFrom('guests').select('name').distinct().orderBy('name');
      if (host !== undefined) names = names.where('host', '=', host);
      if (name !== undefined) names = names.where('name', '=', name);
      if (label !== undefined) names = names.where('info', 'like', '%"labels":{"%');
      if (find !== undefined)
        names = names.where(sql<boolean>`lower(name) like ${partPattern(find)} escape '\\'`);
      if (state !== undefined) names = names.where('state', '=', state);
      if (movable !== undefined)
        names = names.where('info', movable === 'true' ? 'like' : 'not like', MOVABLE);
      if (afterName !== undefined)
        names = names.where('name', afterUuid === undefined ? '>' : '>=', afterName);
      return names.limit(limit + 1);
    })
    .orderBy('name')
    .orderBy('uuid')
    .orderBy('host')
    .execute();
  const names = [...new Set(rows.map((row) => row.name))];
  const whole = names.length > limit ? rows.filter((row) => row.name !== names[limit]) : rows;
  const isAsked = ({ row, guest }: ReportedGuest): boolean =>
    (row.name !== afterName || afterUuid === undefined || row.uuid > afterUuid) &&
    (host ?? row.host) === row.host &&
    (state ?? guest.state) === guest.state &&
    (movable === undefined || (movable === 'true') === (guest.unmovable === undefined)) &&
    (label === undefined || hasLabel(guest.labels, label));
  const all = (await reportedGuests(deps, whole)).filter(isAsked);
  const page = firstGuests(all, limit);
  const guests = page.map(({ guest }) => guest);
  const last = page.at(-1)?.row;
  if (last !== undefined && page.length < all.length)
    return { guests, next: cursorAt([last.name, last.uuid]) };
  const lastName = names[limit - 1];
  if (names.length <= limit || lastName === undefined) return { guests };
  return { guests, next: cursorAt([lastName]) };
}

const partPattern = (part: string): string =>
  `%${part.toLowerCase().replaceAll(/[\\%_]/g, '\\$&')}%`;

const MOVABLE = '%"unmovable":[]%';

const MAX_CLAIMS = 64;

/** At most a page. Rows of one guest that several hosts claim stay together. */
function firstGuests(all: readonly ReportedGuest[], limit: number): readonly ReportedGuest[] {
  const isSame = (one: ReportedGuest | undefined, { row }: ReportedGuest): boolean =>
    one?.row.name === row.name && one.row.uuid === row.uuid;
  const next = all[limit];
  if (next === undefined) return all;
  const before = all.slice(0, limit).filter((each) => !isSame(next, each));
  return before.length > 0 ? before : all.filter((each) => isSame(next, each)).slice(0, MAX_CLAIMS);
}

const MAX_PER_NAME = 1000;

export async function readGuest(
  deps: ReadHandlerDependencies,
  { params }: Call<C['guest']>,
): Promise<RouteAnswer<C['guest']>> {
  const { guest } = params;
  const query = deps.store.db.selectFrom('guests').selectAll().where('name', '=', guest);
  const rows = await query.orderBy('host').limit(MAX_PER_NAME).execute();
  if (rows.length === 0) throw godwitError('GODWIT_GUEST_UNKNOWN', { guest, host: 'any host' });
  const guests = await reportedGuests(deps, rows);
  return {
    guests: guests.map(({ guest: each, row }) => ({
      ...each,
      info: guestInfo.parse(JSON.parse(row.info)),
    })),
  };
}
