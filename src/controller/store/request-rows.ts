import { sql, type RawBuilder, type Transaction } from 'kysely';
import {
  move as moveShape,
  fleetRequest as requestShape,
  type Move,
  type FleetRequest,
} from '../../protocol/controller/fleet-request.ts';
import type { Claim } from '../engine/ports.ts';
import { DEFAULT_LIMITS, type HostMark, type Limits, type Reservation } from '../requests/facts.ts';
import { reservationOf } from '../requests/step.ts';
import { powerOf } from './power-rows.ts';
import type { Store } from './store.ts';
import type { Tables } from './tables.ts';

export type Db = Transaction<Tables>;

/** Maximum age of a look that a promise relies on, ms. */
const KEPT_MS = 60_000;
export const MAX_LISTED = 1000;

export const subjectOf = ({ ask }: FleetRequest): string =>
  ask.guest ?? ask.hosts.toSorted().join(',');
export const readRequest = (body: string): FleetRequest => requestShape.parse(JSON.parse(body));
export const readMove = (body: string): Move => moveShape.parse(JSON.parse(body));

export async function nextEpoch(db: Db): Promise<number> {
  const { value } = await db
    .updateTable('counters')
    .set({ value: sql<number>`value + 1` })
    .where('name', '=', 'epoch')
    .returning('value')
    .executeTakeFirstOrThrow();
  return value;
}

/** False if the claim is lost. */
export async function updateClaim(
  db: Db,
  { request, epoch }: Claim,
  set: { owner?: string; epoch?: number; lease_until?: number | RawBuilder<number> },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('claims')
    .set(set)
    .where('request_id', '=', request)
    .where('epoch', '=', epoch)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export async function writeMove(
  db: Db,
  move: Move,
  { nowMs }: Pick<Store, 'nowMs'>,
): Promise<void> {
  const state = {
    state: move.phase,
    asked_epoch: move.askedEpoch,
    body: JSON.stringify(move),
    ended_at: move.endedAtMs ?? null,
    outcome: move.endedAtMs === undefined ? null : move.phase,
  };
  const { id, guest, from, to, attempt, createdAtMs } = move;
  const fixed = { guest, source: from, destination: to, attempt, created_at: createdAtMs };
  await db
    .insertInto('moves')
    .values({ id, request_id: move.request, ...fixed, ...state })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(state))
    .execute();
  const reservation = reservationOf(move);
  if (reservation === undefined) {
    await giveBack(db, move, nowMs);
    return;
  }
  // Empty source: the move has ended, and only its memory counts.
  const promised = { source: reservation.source ?? '', memory_bytes: reservation.memoryBytes };
  await db
    .insertInto('reservations')
    .values({
      move_id: id,
      request_id: move.request,
      host: to,
      created_at: createdAtMs,
      ...promised,
    })
    .onConflict((conflict) => conflict.column('move_id').doUpdateSet(promised))
    .execute();
}

/** Only a completed move used the room; it still counts for controllers that have not seen the guest there. */
async function giveBack(db: Db, { id, phase }: Move, nowMs: Store['nowMs']): Promise<void> {
  const old = sql<number>`${nowMs} - ${sql.lit(KEPT_MS)}`;
  const isDone = phase === 'done';
  await db
    .deleteFrom('reservations')
    .where((eb) =>
      eb.or([eb('given_back_at', '<', old), ...(isDone ? [] : [eb('move_id', '=', id)])]),
    )
    .execute();
  if (!isDone) return;
  await db
    .updateTable('reservations')
    .set({ source: '', given_back_at: nowMs })
    .where('move_id', '=', id)
    .where('given_back_at', 'is', null)
    .execute();
}

/** A host that is proved off runs nothing, so its old report of a guest started elsewhere is no conflict. */
export async function forgetAtDead(db: Db, { guest, from }: Move): Promise<void> {
  await db.deleteFrom('guests').where('host', '=', from).where('name', '=', guest).execute();
}

function readReservation(row: {
  readonly move_id: string;
  readonly request_id: string;
  readonly guest: string;
  readonly host: string;
  readonly source: string;
  readonly memory_bytes: number;
  readonly given_back_at: number | null;
}): Reservation {
  return {
    move: row.move_id,
    request: row.request_id,
    guest: row.guest,
    host: row.host,
    ...(row.source === '' ? {} : { source: row.source }),
    memoryBytes: row.memory_bytes,
    ...(row.given_back_at === null ? {} : { givenBackAtMs: row.given_back_at }),
  };
}

export async function reservationsOf(
  db: Db,
  { nowMs }: Pick<Store, 'nowMs'>,
): Promise<Reservation[]> {
  const rows = await db
    .selectFrom('reservations')
    .innerJoin('moves', 'moves.id', 'reservations.move_id')
    .selectAll('reservations')
    .select('moves.guest')
    .where((eb) => eb.or([eb('given_back_at', 'is', null), isRecent(nowMs)]))
    .execute();
  return rows.map(readReservation);
}

/** A future time comes from a clock that was set back. */
const isRecent = (nowMs: Store['nowMs']): RawBuilder<boolean> =>
  sql<boolean>`given_back_at between ${nowMs} - ${sql.lit(KEPT_MS)} and ${nowMs}`;

export async function reservedMoves({ db }: Pick<Store, 'db'>, request: string): Promise<Move[]> {
  const rows = await db
    .selectFrom('moves')
    .innerJoin('reservations', 'reservations.move_id', 'moves.id')
    .select('moves.body')
    .where('moves.request_id', '=', request)
    .where('given_back_at', 'is', null)
    .execute();
  return rows.map(({ body }) => readMove(body));
}

export async function marksOf(db: Db): Promise<Map<string, HostMark>> {
  const rows = await db
    .selectFrom('host_marks')
    .leftJoin('requests', 'requests.id', 'host_marks.draining_for')
    .selectAll('host_marks')
    .select(['requests.kind', 'requests.ended_at'])
    .execute();
  const power = await powerOf(db);
  const marks = new Map(
    rows.map((row): [string, HostMark] => [
      row.host,
      {
        host: row.host,
        ...(row.draining_for === null ? {} : { drainingFor: row.draining_for }),
        ...(row.kind === 'recover' && row.ended_at === null ? { recovering: true as const } : {}),
        ...(row.out_limit === null ? {} : { outLimit: row.out_limit }),
        ...(row.in_limit === null ? {} : { inLimit: row.in_limit }),
        ...(row.maintenance === null ? {} : { maintenance: row.maintenance }),
      },
    ]),
  );
  for (const [host, { state }] of power)
    marks.set(host, { ...marks.get(host), host, power: state });
  return marks;
}

export async function limitsOf(db: Db): Promise<Limits> {
  const rows = await db.selectFrom('limits').selectAll().execute();
  const fleet = rows.find(({ scope }) => scope === 'fleet')?.most ?? DEFAULT_LIMITS.fleet;
  const links = rows.filter(({ scope }) => scope === 'link');
  const byLink = Object.fromEntries(links.map(({ name, most }) => [name, most] as const));
  const perHost = (name: string): number | undefined =>
    rows.find((row) => row.scope === 'host' && row.name === name)?.most;
  const outPerHost = perHost('out') ?? DEFAULT_LIMITS.outPerHost;
  const inPerHost = perHost('in') ?? DEFAULT_LIMITS.inPerHost;
  return { fleet, outPerHost, inPerHost, links: byLink };
}

/**
 * Bytes that all moves of a request have sent: predicted, or from the history if that is more. The history has only
 * memory, the prediction includes disks.
 */
export async function sentFor({ db }: Pick<Store, 'db'>, request: string): Promise<number> {
  const rows = await db
    .selectFrom('moves')
    .leftJoin('migrations', 'migrations.id', 'moves.id')
    .select(['moves.body', 'moves.outcome', 'migrations.bytes'])
    .where('request_id', '=', request)
    .execute();
  return rows.reduce((sum, { body, bytes, outcome }) => {
    if (outcome === 'dropped') return sum;
    return sum + Math.max(bytes ?? 0, readMove(body).bytes ?? 0);
  }, 0);
}
