import { hasCode } from '../../errors.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { FleetNews } from '../../protocol/controller/events.ts';
import type { FleetMigration } from '../../protocol/controller/history.ts';
import { isEnd, type MigrationSummary, type Report } from '../../protocol/public/migration.ts';
import type { Api, CallOptions } from '../../rpc/client.ts';
import type { HeldShards } from '../inventory/leases.ts';
import { isFinal, type KnownMigration } from '../store/migration-rows.ts';
import { knownKey, Migrations } from '../store/migrations.ts';
import type { Store } from '../store/store.ts';
import type { Live } from './live.ts';
import { endedRow, forgottenRow, openRow, reportedRow, type NewMigration } from './record.ts';

export interface RecorderDependencies {
  readonly store: Store;
  readonly live: Live;
  readonly held: () => HeldShards;
  readonly agentAt: (host: string) => Api<typeof agentContract> | undefined;
  readonly publish: (news: FleetNews) => void;
  readonly reported?: (host: string, report: Report) => void;
  readonly wrote?: (rows: number, bytes: number) => void;
}

export type Side = MigrationSummary['side'];

export interface Look {
  readonly host: string;
  readonly side: Side;
  readonly api: Api<typeof agentContract>;
  /** Older ended migrations are not kept, ms since 1970. */
  readonly horizonMs: number;
  readonly signal: AbortSignal;
  /** Called with the bytes read. True if the host must wait: the look ends, and the next one continues. */
  readonly took?: (bytes: number) => boolean;
}

const ANSWER_MS = 10_000;
/** First page size; usually only the newest entry is new. */
const FIRST_PAGE = 20;
const PAGE = 200;
const MAX_PAGES = 20;
/** All pages of one look, which are held until the oldest is read. */
const MAX_LIST_BYTES = 32 * 1024 * 1024;
/** One of 10,000 rounds takes half. */
export const MAX_REPORT_BYTES = 4 * 1024 * 1024;
const ROWS = 50;
/** Errors of a host that has no report now or later. */
const NO_REPORT = [
  'GODWIT_JOURNAL',
  'GODWIT_JOURNAL_DAMAGED',
  'GODWIT_MIGRATION_UNKNOWN',
  'GODWIT_PROTOCOL_INVALID',
  'GODWIT_ERROR_NEWER',
  'GODWIT_TOO_LARGE',
] as const;

export class Recorder {
  readonly #deps: RecorderDependencies;
  readonly #migrations: Migrations;

  constructor(deps: RecorderDependencies) {
    this.#deps = deps;
    this.#migrations = new Migrations(deps.store);
  }

  async record(look: Look): Promise<void> {
    const { host, side } = look;
    const nowMs = await this.#migrations.nowMs();
    const open = side === 'source' ? await this.#migrations.openOf(host) : [];
    const left = new Map(open.map((each) => [knownKey({ id: each.id, from: each.source }), each]));
    const pages = await this.#unwritten(look);
    for (const [index, page] of [...pages.entries()].toReversed()) {
      const oldestFirst = page.toReversed();
      for (let at = 0; at < oldestFirst.length; at += ROWS) {
        const rows: NewMigration[] = [];
        let mustWait = false;
        for (const each of oldestFirst.slice(at, at + ROWS)) {
          const key = knownKey(each);
          const sinceMs = left.get(key)?.started_at;
          const made = await this.#rowOf(look, each, { nowMs, sinceMs });
          rows.push(made.row);
          left.delete(key);
          mustWait = made.mustWait;
          if (mustWait) break;
        }
        if (!(await this.#write(host, rows, index === 0)) || mustWait) return;
      }
    }
    const rest = [...left.values()].map((row) => this.#rowAgain(look, row, nowMs));
    await this.#write(host, await Promise.all(rest), true);
  }

  async #unwritten(look: Look): Promise<MigrationSummary[][]> {
    const allowance = { bytes: MAX_LIST_BYTES };
    const options = { ...optionsOf(look), allowance };
    try {
      return await this.#pages(look, options);
    } finally {
      look.took?.(MAX_LIST_BYTES - allowance.bytes);
    }
  }

  async #pages(look: Look, options: CallOptions): Promise<MigrationSummary[][]> {
    const { host, side, api } = look;
    const pages: MigrationSummary[][] = [];
    let after: string | undefined;
    while (pages.length < MAX_PAGES) {
      const query = { limit: pages.length === 0 ? FIRST_PAGE : PAGE, cursor: after };
      const { migrations, next } = await api.migrations({ query }, options);
      const own = migrations.filter((each) => this.#speaksOf(each, host, side));
      const known = await this.#migrations.known(host, own);
      const unsettled = own.filter((each) => !isSettled(each, known.get(knownKey(each)), look));
      pages.push(await this.#fresh(unsettled, known, side));
      if (next === undefined || (own.length > 0 && unsettled.length === 0)) break;
      after = next;
    }
    return pages;
  }

  /**
   * A host reports migrations of its own guests. A manager's agent also reports those between the manager's hosts,
   * unless these are hosts of the fleet, which report for themselves.
   */
  #speaksOf(each: MigrationSummary, host: string, side: Side): boolean {
    if (each.side !== side) return false;
    if (side === 'destination') return each.to === host;
    return each.from === host || this.#deps.agentAt(each.from) === undefined;
  }

  async #fresh(
    unsettled: readonly MigrationSummary[],
    known: ReadonlyMap<string, KnownMigration>,
    side: Side,
  ): Promise<MigrationSummary[]> {
    const changed = unsettled.filter((each) => known.get(knownKey(each))?.outcome !== each.phase);
    if (side === 'source') return changed;
    const up = await this.#upAmong(changed.map(({ from }) => from));
    return changed.filter((each) => isEnd(each.phase) && !up.has(each.from));
  }

  async #upAmong(hosts: readonly string[]): Promise<ReadonlySet<string>> {
    const names = [...new Set(hosts)];
    if (names.length === 0) return new Set();
    const query = this.#deps.store.db.selectFrom('hosts').select('name').where('state', '=', 'up');
    const rows = await query.where('name', 'in', names).execute();
    return new Set(rows.map(({ name }) => name));
  }

  async #rowOf(
    look: Look,
    summary: MigrationSummary,
    { nowMs, sinceMs = 0 }: { readonly nowMs: number; readonly sinceMs: number | undefined },
  ): Promise<{ readonly row: NewMigration; readonly mustWait: boolean }> {
    const open = openRow(summary, look.host, nowMs);
    if (!isEnd(summary.phase)) return { row: open, mustWait: false };
    const { report, mustWait } = await this.#reportOf(look, summary);
    return { row: endedRow(open, summary, { report, nowMs, sinceMs }), mustWait };
  }

  async #reportOf(
    look: Look,
    summary: Parameters<typeof reportOf>[1],
  ): Promise<{ readonly report: Report | undefined; readonly mustWait: boolean }> {
    const allowance = { bytes: MAX_REPORT_BYTES };
    let mustWait = false;
    let report: Report | undefined;
    try {
      report = await reportOf(look, summary, allowance);
    } finally {
      mustWait = look.took?.(MAX_REPORT_BYTES - allowance.bytes) === true;
    }
    if (report !== undefined) this.#deps.reported?.(look.host, report);
    return { report, mustWait };
  }

  async #rowAgain(look: Look, row: NewMigration, nowMs: number): Promise<NewMigration> {
    try {
      const summary = await look.api.migration({ params: { id: row.id } }, optionsOf(look));
      if (!isEnd(summary.phase)) return row;
      const { report } = await this.#reportOf(look, summary);
      return endedRow(row, summary, { report, nowMs, sinceMs: row.started_at });
    } catch (thrown) {
      if (hasCode(thrown, 'GODWIT_MIGRATION_UNKNOWN')) return forgottenRow(row, nowMs);
      throw thrown;
    }
  }

  /** False if another controller follows the host now and will write the rest. */
  async #write(host: string, rows: readonly NewMigration[], isNew: boolean): Promise<boolean> {
    if (rows.length === 0) return true;
    const { held, live } = this.#deps;
    const news = await this.#migrations.write(held(), host, rows);
    if (news === undefined) return false;
    this.#deps.wrote?.(
      rows.length,
      rows.reduce((sum, { report }) => sum + (report?.length ?? 0), 0),
    );
    for (const row of rows) {
      if (row.ended_at !== null) live.ended(host, row.id);
      else if (news.own.has(row)) live.began(host, await this.#reported(row));
      // A migration that ended before the host was followed is not published as begun.
      if (news.begun.has(row) && (row.ended_at === null || isNew))
        await this.#publish('begun', row);
      if (!news.ended.has(row)) continue;
      live.ended(row.source, row.id);
      if (isNew) await this.#publish('ended', row);
    }
    return true;
  }

  async #publish(what: 'begun' | 'ended', row: NewMigration): Promise<void> {
    const reported = await this.#reported(row);
    this.#deps.publish({ type: 'migration', what, migration: reported });
  }

  async #reported(row: NewMigration): Promise<FleetMigration> {
    const found = await this.#migrations.get(row);
    const { request = null, by = null } = found?.row ?? {};
    return reportedRow({ ...row, epoch: 0 }, { request, by });
  }
}

function isSettled(
  each: MigrationSummary,
  before: KnownMigration | undefined,
  { side, horizonMs }: Look,
): boolean {
  if (before !== undefined) return isFinal(before, side);
  return isEnd(each.phase) && Date.parse(each.startedAt) + each.elapsedMs <= horizonMs;
}

/** Undefined if the host has no report. Throws if it does not answer, so that it is asked again. */
export async function reportOf(
  look: Pick<Look, 'api' | 'signal'>,
  { id, guest, from, to }: Pick<MigrationSummary, 'id' | 'guest' | 'from' | 'to'>,
  allowance = { bytes: MAX_REPORT_BYTES },
): Promise<Report | undefined> {
  try {
    const report = await look.api.report({ params: { id } }, { ...optionsOf(look), allowance });
    const isSame = report.id === id && report.guest === guest;
    return isSame && report.from === from && report.to === to ? report : undefined;
  } catch (thrown) {
    if (NO_REPORT.some((code) => hasCode(thrown, code))) return undefined;
    throw thrown;
  }
}

function optionsOf({ signal }: Pick<Look, 'signal'>): CallOptions {
  return { signal, deadlineMs: ANSWER_MS };
}
