import { homesOf } from '../inventory/each-guest.ts';
import { godwitError, hasCode, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { figures } from '../../migration/insight/figures.ts';
import { insightOf, type ReportedMigration } from '../../migration/insight/insight.ts';
import type { FleetMigration, historyRoutes, Insight } from '../../protocol/controller/history.ts';
import { cursorAt, timeKeyIn } from '../../protocol/public/page.ts';
import type { RouteAnswer } from '../../protocol/route.ts';
import type { Call, Handlers } from '../../rpc/server.ts';
import type { AgentClients } from '../engine/agent-clients.ts';
import type { History } from '../history/history.ts';
import { findMigration } from '../history/find-migration.ts';
import { unpacked } from '../history/kept-report.ts';
import { reportedRow } from '../history/record.ts';
import { MAX_REPORT_BYTES } from '../history/recorder.ts';
import { MigrationStreams } from '../history/relay.ts';
import { staysOf } from '../history/stays.ts';
import { Migrations, type ListedMigration } from '../store/migrations.ts';
import type { Store } from '../store/store.ts';
import { orderFor } from './host-agents.ts';
import type { Clock } from '../../clock.ts';
import { CostlyAnswers } from './costly.ts';

type C = typeof historyRoutes;

export interface HistoryApi {
  readonly store: Store;
  readonly history: History;
  readonly agents: AgentClients;
  readonly clock: Clock;
  readonly log: Log;
}

const ANSWER_MS = 5000;
const MAX_REPORTED = 20_000;
const MAX_PER_GUEST = 1000;
const MONTH_MS = 30 * 86_400_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** The start of an insight is rounded to this step, by its length, so that callers share an answer. */
const SINCE_STEPS: readonly { readonly upToMs: number; readonly stepMs: number }[] = [
  { upToMs: 2 * HOUR_MS, stepMs: 5 * MINUTE_MS },
  { upToMs: 48 * HOUR_MS, stepMs: HOUR_MS },
];
const LONGEST_STEP_MS = 24 * HOUR_MS;

export function historyHandlers(parts: HistoryApi): Handlers<C> {
  const migrations = new Migrations(parts.store);
  const insights = new CostlyAnswers<Insight>('insight', parts.clock);
  const reading = { ...parts, migrations };
  const streams = new MigrationStreams(reading);
  return {
    migrations: (call) => readMigrations(reading, call),
    migration: (call) => readMigration(reading, call),
    migrationEvents: ({ params, query, signal }) => streams.follow(params.id, query.source, signal),
    cancelMigration: (call) => cancelMigration(reading, call),
    guestHistory: (call) => readGuestHistory(reading, call),
    insight: ({ query: { since }, caller }) => {
      const from =
        since === undefined ? undefined : beginning(Date.parse(since), parts.clock.wallMs());
      // The same name in another role is another caller.
      const key = `${caller.role} ${caller.name}`;
      return insights.of(String(from), () => readInsight(migrations, from), key);
    },
  };
}

export function beginning(askedMs: number, nowMs: number): number {
  const lengthMs = nowMs - askedMs;
  const { stepMs } = SINCE_STEPS.find(({ upToMs }) => lengthMs <= upToMs) ?? {
    stepMs: LONGEST_STEP_MS,
  };
  return Math.max(0, askedMs - (askedMs % stepMs));
}

interface Reading extends HistoryApi {
  readonly migrations: Migrations;
}

function reported({ history }: Reading, row: ListedMigration): FleetMigration {
  return {
    ...reportedRow(row, row),
    ...(row.ended_at === null ? history.live.of(row.told_by, row.id) : {}),
  };
}

async function readMigrations(
  parts: Reading,
  { query }: Call<C['migrations']>,
): Promise<RouteAnswer<C['migrations']>> {
  const { limit, cursor, since, guest, host, state, outcome } = query;
  const after = cursor === undefined ? undefined : timeKeyIn(cursor);
  const filter = {
    guest,
    host,
    state,
    outcome,
    sinceMs: since === undefined ? undefined : Date.parse(since),
    after: after && { startedAtMs: after.atMs, id: after.id },
  };
  const found = await parts.migrations.list(filter, limit + 1);
  const page = found.slice(0, limit);
  const last = page.at(-1);
  const migrations = page.map((row) => reported(parts, row));
  if (last === undefined || found.length <= limit) return { migrations };
  return { migrations, next: cursorAt([String(last.started_at), last.id]) };
}

async function readMigration(
  parts: Reading,
  { params: { id }, query, signal }: Call<C['migration']>,
): Promise<RouteAnswer<C['migration']>> {
  const { row, report } = await findMigration(parts.migrations, id, query.source);
  const migration = reported(parts, row);
  if (report !== null) return { ...migration, report: unpacked(report) };
  if (row.ended_at !== null) {
    return { ...migration, withoutReport: `${row.told_by} gave none` };
  }
  const api = parts.agents.at(row.told_by);
  if (api === undefined) {
    return { ...migration, withoutReport: `${row.told_by} is no host of the fleet any more` };
  }
  try {
    const asked = { params: { id } };
    const options = { signal, deadlineMs: ANSWER_MS };
    const [soFar, progress] = await Promise.all([
      api.report(asked, { ...options, allowance: { bytes: MAX_REPORT_BYTES } }),
      api.migration(asked, options),
    ]);
    parts.history.live.heard(row.told_by, progress);
    return { ...reported(parts, row), report: soFar, progress };
  } catch (thrown) {
    const words = toGodwitError(thrown).message.slice(0, 1000);
    return { ...migration, withoutReport: `${row.told_by} does not report it: ${words}` };
  }
}

async function cancelMigration(
  parts: Reading,
  { params: { id }, query: named, caller }: Call<C['cancelMigration']>,
): Promise<RouteAnswer<C['cancelMigration']>> {
  const { row } = await findMigration(parts.migrations, id, named.source);
  if (row.ended_at !== null) {
    return { accepted: false, what: `${id} has ended already: ${row.outcome ?? 'it is over'}` };
  }
  if (row.request !== null && row.request !== named.request && (await isOpen(parts, row.request))) {
    const facts = { id, request: row.request, guest: row.guest };
    throw godwitError('GODWIT_MIGRATION_OF_REQUEST', facts);
  }
  const api = parts.agents.at(row.told_by);
  if (api === undefined) throw godwitError('GODWIT_HOST_UNKNOWN', { host: row.told_by });
  const ask = async () => {
    const request = row.request === null ? {} : { request: row.request };
    const query = { ...(await orderOf(parts, row)), ...request };
    return api.cancel({ params: { id }, query }, { deadlineMs: ANSWER_MS });
  };
  // Another controller may take the request over meanwhile, with a newer epoch.
  const answer = await ask().catch((thrown: unknown) => {
    if (hasCode(thrown, 'GODWIT_ORDER_STALE')) return ask();
    throw thrown;
  });
  parts.log.info({ id, by: caller.name, ...answer }, 'cancel requested');
  if (row.request === null || !answer.accepted) return answer;
  const part = `The request ${row.request} does not move ${row.guest} again.`;
  return { ...answer, what: `${answer.what} ${part}` };
}

async function isOpen({ store }: Reading, request: string): Promise<boolean> {
  const query = store.db.selectFrom('requests').select('id').where('id', '=', request);
  return (await query.where('ended_at', 'is', null).executeTakeFirst()) !== undefined;
}

async function orderOf(
  { store }: Reading,
  { id, request }: ListedMigration,
): Promise<{ order: string; epoch: string }> {
  const claim =
    request === null
      ? undefined
      : await store.db
          .selectFrom('claims')
          .select('epoch')
          .where('request_id', '=', request)
          .executeTakeFirst();
  if (request !== null && claim !== undefined)
    return { order: request, epoch: String(claim.epoch) };
  return orderFor(store, id);
}

async function readGuestHistory(
  parts: Reading,
  { params: { guest } }: Call<C['guestHistory']>,
): Promise<RouteAnswer<C['guestHistory']>> {
  const filter = { guest, state: 'ended' } as const;
  const newest = await parts.migrations.list(filter, MAX_PER_GUEST + 1);
  const homes = await homesOf(parts.store, guest);
  if (newest.length + homes.length === 0) {
    throw godwitError('GODWIT_GUEST_UNKNOWN', { guest, host: 'any host' });
  }
  const all = newest.slice(0, MAX_PER_GUEST).toReversed();
  const stays = staysOf(
    all.map((row) => reported(parts, row)),
    [...new Set(homes)],
  );
  const isPart = newest.length > MAX_PER_GUEST || stays.length > MAX_PER_GUEST;
  return { guest, stays: stays.slice(0, MAX_PER_GUEST), isPart };
}

async function readInsight(migrations: Migrations, fromMs: number | undefined): Promise<Insight> {
  const untilMs = await migrations.nowMs();
  const sinceMs = Math.min(untilMs, fromMs ?? untilMs - MONTH_MS);
  const rows = await migrations.endedSince(sinceMs, MAX_REPORTED + 1);
  const all = rows.slice(0, MAX_REPORTED).map((row): ReportedMigration => ({
    id: row.id,
    outcome: (row.outcome ?? 'lost') as ReportedMigration['outcome'],
    code: row.code ?? undefined,
    totalMs: row.total_ms ?? undefined,
    downtimeMs: row.downtime_ms ?? undefined,
    clientGapMs: row.client_gap_ms ?? undefined,
    bytes: row.bytes ?? undefined,
    figures: figures.parse(
      row.figures === null ? { predicted: {}, saved: {} } : JSON.parse(row.figures),
    ),
  }));
  return insightOf(all, { sinceMs, untilMs, isPart: rows.length > MAX_REPORTED });
}
