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
import { MigrationFeed, type UnsignedNews } from './migration-feed.ts';

export interface RelayDependencies {
  readonly clock: Clock;
  readonly agents: Pick<AgentClients, 'at'>;
  readonly migrations: Pick<Migrations, 'find' | 'get'>;
}

const ANSWER_MS = 5000;
/** After its host fell silent, and between looks for its end in the database. */
const AGAIN_MS = 1000;
/**
 * Migrations of one host that are viewed at a time: an agent grants a controller 8 streams, and the inventory and a roll need
 * theirs.
 */
const MAX_PER_HOST = 3;
/** Between two reports so far. */
const REPORT_MS = 1000;

/** Streams that are open to each host, for viewers: an agent counts them all as this controller's. */
type OpenStreams = Map<string, number>;

/**
 * What happens in a migration until it ends: its source's agent is followed, over the times in which that is silent. One
 * such stream serves all who view the migration; it ends with the last of them.
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
   * From where it stands now on. A viewer that comes back gets that again, so an id is only a count. Throws
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
      // Whoever comes later begins anew.
      if (this.#viewed.get(nameOf(row))?.shown === shown) this.#viewed.delete(nameOf(row));
    }
  }
}

/** A source may have taken over what its destination reported. */
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
    // What it ended with is written down soon after.
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

/** Until it ends, or its agent reports no more. */
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

/** Something of which its report has more to say. */
const markOf = ({ phase, sample, note }: Progress): string =>
  `${phase} ${sample?.round ?? 0} ${note ?? ''}`;
