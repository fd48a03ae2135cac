import type { RawBuilder } from 'kysely';
import { godwitError } from '../../errors.ts';
import {
  WHOLE_FLEET,
  type Policy,
  type PolicyKind,
  type Proposal,
} from '../../protocol/controller/policy.ts';
import type { FleetRequest } from '../../protocol/controller/fleet-request.ts';
import type { OwnMove } from '../policy/foreign-moves.ts';
import type { PastMove } from '../policy/inventory.ts';
import type { MadeMove } from '../policy/proposals.ts';
import { readPolicy, readProposal } from './proposal-rows.ts';
import { readMove, readRequest, type Db } from './request-rows.ts';

const DAY_MS = 86_400_000;
const MAX_READ = 10_000;

export interface PolicyView {
  readonly nowMs: number;
  readonly policy: Policy;
  readonly proposals: readonly Proposal[];
  readonly requests: ReadonlyMap<string, FleetRequest>;
  readonly made: readonly MadeMove[];
  /** Made moves of the last day, and all of Godwit's own. */
  readonly past: readonly PastMove[];
  readonly own: readonly OwnMove[];
  readonly asked: ReadonlyMap<string, string>;
  readonly groups: readonly { readonly scope: string; readonly hosts: readonly string[] }[];
}

/** GODWIT_POLICY_UNKNOWN if it is gone. */
export async function policyView(
  db: Db,
  kind: PolicyKind,
  scope: string,
  nowMs: RawBuilder<number>,
): Promise<PolicyView> {
  const row = await db
    .selectFrom('policies')
    .selectAll()
    .select(nowMs.as('now'))
    .where('kind', '=', kind)
    .where('scope', '=', scope)
    .executeTakeFirst();
  if (row === undefined) throw godwitError('GODWIT_POLICY_UNKNOWN', { kind, scope });
  const { now, ...policy } = row;
  const rows = await db
    .selectFrom('proposals')
    .select('body')
    .where('kind', '=', kind)
    .where('scope', '=', scope)
    .where('settled', '=', 0)
    .orderBy('created_at')
    .orderBy('id')
    .limit(MAX_READ)
    .execute();
  const proposals = rows.map(({ body }) => readProposal(body));
  const ids = proposals.flatMap((each) => (each.state === 'accepted' ? each.requests : []));
  const all = await movesOf(db, now - DAY_MS);
  return {
    nowMs: now,
    policy: readPolicy(policy),
    proposals,
    ...(await requestsOf(db, ids)),
    past: all.flatMap(({ guest, source, isDone, endedAtMs }) =>
      isDone && endedAtMs !== null ? [{ guest, from: source, endedAtMs }] : [],
    ),
    own: all.map(({ guest, createdAtMs, endedAtMs }) => ({
      guest,
      createdAtMs,
      ...(endedAtMs === null ? {} : { endedAtMs }),
    })),
    asked: await askedGuests(db),
    groups: await groupsOf(db, kind),
  };
}

interface KnownMove {
  readonly guest: string;
  readonly source: string;
  readonly isDone: boolean;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
}

/** Requests' moves and agents' migrations that are open or ended since then. */
async function movesOf(db: Db, sinceMs: number): Promise<KnownMove[]> {
  const moves = await db
    .selectFrom('moves')
    .select(['id', 'guest', 'source', 'state', 'created_at', 'ended_at'])
    .where((eb) => eb.or([eb('ended_at', 'is', null), eb('ended_at', '>', sinceMs)]))
    .execute();
  const migrations = await db
    .selectFrom('migrations')
    .select(['id', 'guest', 'source', 'outcome as state', 'started_at as created_at', 'ended_at'])
    .where((eb) => eb.or([eb('ended_at', 'is', null), eb('ended_at', '>', sinceMs)]))
    .execute();
  const ids = new Set(moves.map(({ id }) => id));
  return [...moves, ...migrations.filter(({ id }) => !ids.has(id))].map((each) => ({
    guest: each.guest,
    source: each.source,
    isDone: each.state === 'done',
    createdAtMs: each.created_at,
    endedAtMs: each.ended_at,
  }));
}

async function askedGuests(db: Db): Promise<ReadonlyMap<string, string>> {
  const open = await db
    .selectFrom('requests')
    .select(['subject', 'body'])
    .where('kind', '=', 'migration')
    .where('ended_at', 'is', null)
    .execute();
  return new Map(
    open.map(({ subject, body }) => {
      const { ask, phase } = readRequest(body);
      const [to = '', ...more] = ask.to ?? [];
      return [subject, phase === 'working' && more.length === 0 ? to : ''];
    }),
  );
}

export async function groupsOf(
  db: Db,
  kind: PolicyKind,
): Promise<{ scope: string; hosts: readonly string[] }[]> {
  const rows = await db
    .selectFrom('policies')
    .selectAll()
    .where('kind', '=', kind)
    .where('scope', '!=', WHOLE_FLEET)
    .execute();
  return rows.map((row) => ({ scope: row.scope, hosts: readPolicy(row).hosts ?? [] }));
}

async function requestsOf(
  db: Db,
  ids: readonly string[],
): Promise<Pick<PolicyView, 'requests' | 'made'>> {
  if (ids.length === 0) return { requests: new Map(), made: [] };
  const rows = await db
    .selectFrom('requests')
    .select(['id', 'body'])
    .where('id', 'in', ids)
    .execute();
  const moves = await db
    .selectFrom('moves')
    .leftJoin('migrations', 'migrations.id', 'moves.id')
    .select(['moves.request_id', 'moves.body', 'migrations.downtime_ms', 'migrations.bytes'])
    .where('moves.request_id', 'in', ids)
    .where('moves.state', '=', 'done')
    .execute();
  return {
    requests: new Map(rows.map(({ id, body }) => [id, readRequest(body)])),
    made: moves.map(({ request_id: request, body, downtime_ms: downtimeMs, bytes }) => {
      const { createdAtMs, endedAtMs = createdAtMs } = readMove(body);
      return {
        request,
        endedAtMs,
        seconds: (endedAtMs - createdAtMs) / 1000,
        ...(downtimeMs === null ? {} : { downtimeMs }),
        ...(bytes === null ? {} : { bytes }),
      };
    }),
  };
}
