import { readFileSync } from 'node:fs';
import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { FleetNews } from '../../protocol/controller/events.ts';
import type { FleetMigration } from '../../protocol/controller/history.ts';
import { PRODUCT_VERSION } from '../../protocol/version.ts';
import { unpacked } from '../history/kept-report.ts';
import { reportedRow } from '../history/record.ts';
import { httpsFetch } from '../https-fetch.ts';
import type { Migrations } from '../store/migrations.ts';
import type { TracesConfig } from './config.ts';
import { requestOf } from './otlp.ts';
import { spansOf } from './spans.ts';

export interface TracesDependencies {
  readonly config: TracesConfig;
  readonly migrations: Pick<Migrations, 'find'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly name: string;
}

/** Unsent traces; beyond, the oldest of the host with most is dropped. */
const MAX_WAITING = 1000;
const SEND_MS = 10_000;
const TRIES = 5;
const RETRY_MS = 1000;
/** The specification allows retries only for these. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

type EndedMigration = Pick<FleetMigration, 'id' | 'source'>;

/** Nothing waits for traces, and unsent ones are dropped. */
export class Traces {
  readonly #deps: TracesDependencies;
  readonly #waiting: EndedMigration[] = [];
  readonly #end = new AbortController();
  #sending: Promise<void> | undefined;
  #failed = '';

  constructor(deps: TracesDependencies) {
    this.#deps = deps;
  }

  heard(news: FleetNews): void {
    if (news.type !== 'migration' || news.what !== 'ended' || this.#end.signal.aborted) return;
    const { id, source, outcome } = news.migration;
    if (outcome === 'held') return;
    if (this.#waiting.length >= MAX_WAITING) this.#drop();
    this.#waiting.push({ id, source });
    this.#sending ??= this.#send().finally(() => (this.#sending = undefined));
  }

  #drop(): void {
    const bySource = Map.groupBy(this.#waiting, ({ source }) => source);
    const [most = []] = [...bySource.values()].toSorted((one, other) => other.length - one.length);
    const [oldest] = most;
    if (oldest !== undefined) this.#waiting.splice(this.#waiting.indexOf(oldest), 1);
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#sending;
  }

  async #send(): Promise<void> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next === undefined || this.#end.signal.aborted) return;
      try {
        const body = await this.#bodyOf(next);
        if (body !== undefined) await this.#sendOne(body);
        this.#said('');
      } catch (thrown) {
        this.#said(toGodwitError(thrown).message);
      }
    }
  }

  async #bodyOf({ id, source }: EndedMigration): Promise<string | undefined> {
    const { migrations, name } = this.#deps;
    const rows = await migrations.find(id, source);
    const found = rows.find(({ row }) => row.told_by === source) ?? rows[0];
    if (found === undefined) return undefined;
    const { row, report } = found;
    const migration = reportedRow(row, { request: row.request, by: row.by });
    const spans = spansOf(migration, report === null ? undefined : unpacked(report));
    const resource = {
      'service.name': 'godwit-controller',
      'service.version': PRODUCT_VERSION,
      'service.instance.id': name,
    };
    return JSON.stringify(requestOf(resource, { name: 'godwit', version: PRODUCT_VERSION }, spans));
  }

  async #sendOne(body: string): Promise<void> {
    const { clock, config } = this.#deps;
    const { signal } = this.#end;
    for (let tried = 1; ; tried += 1) {
      const problem = await post(config, body, signal);
      if (problem === undefined) return;
      if (!problem.mayRetry || tried === TRIES || signal.aborted) throw new Error(problem.words);
      await clock.sleep(RETRY_MS * 2 ** (tried - 1), signal);
    }
  }

  /** Logs each kind of failure once, and the recovery once. */
  #said(problem: string): void {
    const { log, config } = this.#deps;
    if (problem === this.#failed || this.#end.signal.aborted) return;
    this.#failed = problem;
    const { host } = new URL(config.url);
    if (problem === '') log.info({ host }, 'traces accepted again');
    else log.error({ host, problem }, 'trace could not be sent');
  }
}

interface ExportRefusal {
  readonly words: string;
  readonly mayRetry: boolean;
}

async function post(
  { url, caFile }: TracesConfig,
  body: string,
  ended: AbortSignal,
): Promise<ExportRefusal | undefined> {
  const signal = AbortSignal.any([ended, AbortSignal.timeout(SEND_MS)]);
  const headers = { 'content-type': 'application/json' };
  try {
    const ca = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
    const send = url.startsWith('https:') ? httpsFetch(ca) : fetch;
    const answer = await send(url, { method: 'POST', headers, body, redirect: 'manual', signal });
    await answer.body?.cancel();
    if (answer.ok) return undefined;
    const { status } = answer;
    return { words: `it answered with ${status}`, mayRetry: RETRYABLE.has(status) };
  } catch (thrown) {
    const { message, cause } = thrown as Error;
    const words = cause instanceof Error && cause.message !== '' ? cause.message : message;
    return { words, mayRetry: true };
  }
}
