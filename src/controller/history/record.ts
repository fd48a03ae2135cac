import type { SerialError } from '../../errors.ts';
import { migrationOutcome, type FleetMigration } from '../../protocol/controller/history.ts';
import {
  isEnd,
  type MigrationSummary,
  type Progress,
  type Report,
} from '../../protocol/public/migration.ts';
import type { MigrationRow } from '../store/tables.ts';
import { columnsOf } from './columns.ts';
import { packed } from './kept-report.ts';

export type NewMigration = Omit<MigrationRow, 'epoch'>;

const EMPTY = {
  ended_at: null,
  outcome: null,
  code: null,
  words: null,
  total_ms: null,
  downtime_ms: null,
  client_gap_ms: null,
  bytes: null,
  link_rate: null,
  dirty_rate: null,
  figures: null,
  report: null,
} as const;

/** `nowMs`: the database's clock, which limits the host's times. */
export function openRow(summary: MigrationSummary, host: string, nowMs: number): NewMigration {
  const { id, guest, from: source, to: destination, mode, side, startedAt } = summary;
  const started_at = momentMs(startedAt, nowMs);
  return { ...EMPTY, id, guest, source, destination, mode, side, told_by: host, started_at };
}

/** `sinceMs`: it was open then, so its end is later; by the database's clock. */
export function endedRow(
  open: NewMigration,
  { phase, elapsedMs, error }: Progress,
  { report, nowMs, sinceMs = 0 }: { report?: Report | undefined; nowMs: number; sinceMs?: number },
): NewMigration {
  const reported = open.started_at + Math.max(0, Math.round(elapsedMs));
  const ended = {
    ended_at: Math.min(nowMs, Math.max(sinceMs, reported)),
    outcome: migrationOutcome.parse(isEnd(phase) ? phase : 'lost'),
    total_ms: elapsedMs,
    ...errorColumns(error),
  };
  if (report === undefined) return { ...open, ...ended };
  return {
    ...open,
    ...ended,
    ...columnsOf(report),
    ...errorColumns(report.error ?? error),
    report: packed(report) ?? null,
  };
}

export function forgottenRow(open: NewMigration, nowMs: number): NewMigration {
  const words = `${open.told_by} does not know it any more: how it ended is not known`;
  const code = 'GODWIT_MIGRATION_UNKNOWN';
  return { ...open, ended_at: nowMs, outcome: 'lost', code, words };
}

function errorColumns(error: SerialError | undefined): {
  code: string | null;
  words: string | null;
} {
  return { code: error?.code ?? null, words: error?.message.slice(0, 1000) ?? null };
}

/** ms since 1970 of a host's timestamp; an invalid or future one is now. */
function momentMs(moment: string, nowMs: number): number {
  const ms = Date.parse(moment);
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, nowMs) : nowMs;
}

export interface AskedBy {
  readonly request: string | null;
  readonly by: string | null;
}

export function reportedRow(
  row: Omit<MigrationRow, 'report' | 'figures'>,
  asked: AskedBy,
): FleetMigration {
  const optional = {
    outcome: row.outcome,
    endedAt: row.ended_at === null ? null : new Date(row.ended_at).toISOString(),
    totalMs: row.total_ms,
    downtimeMs: row.downtime_ms,
    clientGapMs: row.client_gap_ms,
    bytes: row.bytes,
    request: asked.request,
    by: asked.by,
    code: row.code,
    words: row.words,
  };
  return {
    id: row.id,
    guest: row.guest,
    source: row.source,
    destination: row.destination,
    mode: row.mode as FleetMigration['mode'],
    state: row.ended_at === null ? 'open' : 'ended',
    startedAt: new Date(row.started_at).toISOString(),
    ...(Object.fromEntries(
      Object.entries(optional).filter(([, value]) => value !== null),
    ) as Partial<FleetMigration>),
  };
}
