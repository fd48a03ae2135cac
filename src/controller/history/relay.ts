import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { MigrationNews } from '../../protocol/controller/history.ts';
import { isEnd, type Progress } from '../../protocol/public/migration.ts';
import type { Api } from '../../rpc/client.ts';
import type { AgentClients } from '../engine/agent-clients.ts';
import type { MigrationKey } from '../store/migration-rows.ts';
import type { FoundMigration, Migrations } from '../store/migrations.ts';
import { findMigration } from './find-migration.ts';
import { reportedRow } from './record.ts';
import { MAX_REPORT_BYTES } from './recorder.ts';
import { wake, woken } from '../../rpc/event-log.ts';

export interface RelayDependencies {
  readonly clock: Clock;
  readonly agents: Pick<AgentClients, 'at'>;
  readonly migrations: Pick<Migrations, 'find' | 'get'>;
}

const ANSWER_MS = 5000;
/** Pause after a host fell silent, and between looks for the end in the database. */
const AGAIN_MS = 1000;
/** Viewed migrations per host: an agent grants a controller 8 streams, and the inventory and a roll need theirs. */
const MAX_PER_HOST = 3;
const REPORT_MS = 1000;

type OpenStreams = Map<string, number>;

/**
 * Streams of migrations until they end. Each follows the source's agent, across its silences, and serves all viewers of
 * the migration; it ends with the last viewer.
 */
export class MigrationStreams {
  readonly #deps: RelayDependencies;
  readonly #open: OpenStreams = new Map();
  readonly #viewed = new Map<
    string,
    { readonly shown: MigrationFeed; readonly end: AbortController }
  >();

  constructor(deps: RelayDependencies) {
    this.#deps = deps;
  }

  /**
   * Starts with the present state. A viewer that reconnects gets it again, so an id is only a count. Throws
   * GODWIT_MIGRATION_UNKNOWN.
   */
  async *follow(
    id: string,
    source: string | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<MigrationNews> {
    const { row } = await findMigration(this.#deps.migrations, id, source);
    const viewed = this.#viewed.get(nameOf(row)) ?? this.#begin(row);
    const { shown, end } = viewed;
    shown.viewers += 1;
    try {
      yield* shown.follow(signal);
    } finally {
      shown.viewers -= 1;
      if (shown.viewers === 0) {
        end.abort();
        if (this.#viewed.get(nameOf(row)) === viewed) this.#viewed.delete(nameOf(row));
      }
    }
  }

  #begin(row: MigrationKey): { readonly shown: MigrationFeed; readonly end: AbortController } {
    const viewed = { shown: new MigrationFeed(row.id), end: new AbortController() };
    this.#viewed.set(nameOf(row), viewed);
    void this.#carry(row, viewed);
    return viewed;
  }

  async #carry(
    row: MigrationKey,
    { shown, end: { signal } }: { readonly shown: MigrationFeed; readonly end: AbortController },
  ): Promise<void> {
    try {
      for await (const news of newsOf(this.#deps, { row, open: this.#open }, signal))
        shown.add(news);
      shown.end();
    } catch (thrown) {
      shown.end(thrown);
    } finally {
      if (this.#viewed.get(nameOf(row))?.shown === shown) this.#viewed.delete(nameOf(row));
    }
  }
}

async function rowNow(
  migrations: RelayDependencies['migrations'],
  asked: MigrationKey,
): Promise<FoundMigration> {
  return (await migrations.get(asked)) ?? findMigration(migrations, asked.id, asked.source);
}

const nameOf = ({ id, source, told_by: by }: MigrationKey): string => `${id} ${source} ${by}`;

async function* newsOf(
  deps: RelayDependencies,
  { row: asked, open }: { readonly row: MigrationKey; readonly open: OpenStreams },
  signal: AbortSignal,
): AsyncGenerator<UnsignedNews> {
  let silent = '';
  while (!signal.aborted) {
    const { row } = await rowNow(deps.migrations, asked);
    if (row.ended_at !== null) {
      yield { type: 'ended', migration: reportedRow(row, row) };
      return;
    }
    const host = row.told_by;
    const api = deps.agents.at(host);
    let words = `${host} is no host of the fleet any more`;
    try {
      if (api !== undefined && (open.get(host) ?? 0) >= MAX_PER_HOST) {
        words = `${MAX_PER_HOST} other migrations of ${host} are viewed; this one begins when nobody views one of them any more`;
      } else if (api !== undefined) {
        yield* counted(open, host, followed(deps, api, row.id, signal));
        words = '';
      }
    } catch (thrown) {
      words = toGodwitError(thrown).message.slice(0, 1000);
    }
    if (signal.aborted) return;
    if (words !== '' && words !== silent) yield { type: 'silent', words };
    silent = words;
    await deps.clock.sleep(AGAIN_MS, signal).catch(() => {});
  }
}

async function* counted<T>(
  open: OpenStreams,
  host: string,
  items: AsyncIterable<T>,
): AsyncGenerator<T> {
  open.set(host, (open.get(host) ?? 0) + 1);
  try {
    yield* items;
  } finally {
    const left = (open.get(host) ?? 1) - 1;
    if (left > 0) open.set(host, left);
    else open.delete(host);
  }
}

async function* followed(
  { clock }: RelayDependencies,
  api: Api<typeof agentContract>,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<UnsignedNews> {
  const asked = { params: { id } };
  const options = { signal, deadlineMs: ANSWER_MS };
  let [mark, reportedMs] = ['', -Infinity];
  for await (const progress of api.events(asked, options)) {
    yield { type: 'progress', progress };
    const isOver = isEnd(progress.phase);
    const next = markOf(progress);
    const nowMs = clock.monotonicMs();
    if (!isOver && (next === mark || nowMs - reportedMs < REPORT_MS)) continue;
    [mark, reportedMs] = [next, nowMs];
    const allowance = { bytes: MAX_REPORT_BYTES };
    yield { type: 'report', report: await api.report(asked, { ...options, allowance }) };
    if (isOver) return;
  }
}

/** Events that a viewer may lag; beyond, it skips to the present state. */
const markOf = ({ phase, sample, note }: Progress): string =>
  `${phase} ${sample?.round ?? 0} ${note ?? ''}`;

type UnsignedNews = MigrationNews extends infer N
  ? N extends unknown
    ? Omit<N, 'id'>
    : never
  : never;

const MAX_BEHIND = 64;
/** JSON of these together, bytes; reports are long. */
const MAX_BEHIND_BYTES = 4 * 1024 * 1024;

/**
 * Events of a migration for all its viewers. An event replaces the last one of its kind, so the kept ones are the
 * present state. New and slow viewers read that, so a viewer holds no memory.
 */
class MigrationFeed {
  viewers = 0;
  readonly #id: string;
  #kept: { readonly news: MigrationNews; readonly bytes: number }[] = [];
  #bytes = 0;
  readonly #now = new Map<MigrationNews['type'], MigrationNews>();
  #count = 0;
  #over: { readonly failure?: unknown } | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(id: string) {
    this.#id = id;
  }

  add(unsigned: UnsignedNews): void {
    this.#count += 1;
    const news = { ...unsigned, id: `${this.#id}-${this.#count}` };
    const bytes = Buffer.byteLength(JSON.stringify(news));
    this.#kept.push({ news, bytes });
    this.#bytes += bytes;
    while (this.#kept.length > MAX_BEHIND || this.#bytes > MAX_BEHIND_BYTES)
      this.#bytes -= this.#kept.shift()?.bytes ?? this.#bytes;
    this.#now.delete('silent');
    this.#now.delete(news.type);
    this.#now.set(news.type, news);
    wake(this.#waiting);
  }

  end(failure?: unknown): void {
    this.#over = failure === undefined ? {} : { failure };
    wake(this.#waiting);
  }

  async *follow(signal: AbortSignal): AsyncGenerator<MigrationNews> {
    let seen = 0;
    while (!signal.aborted) {
      const behind = this.#count - seen;
      if (behind > 0) {
        const isFresh = seen > 0 && behind <= this.#kept.length;
        const next = isFresh
          ? this.#kept.slice(-behind).map(({ news }) => news)
          : [...this.#now.values()];
        seen = this.#count;
        yield* next;
      } else if (this.#over !== undefined) {
        if ('failure' in this.#over) throw this.#over.failure;
        return;
      } else await woken([this.#waiting], signal);
    }
  }
}
