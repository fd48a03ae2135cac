import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { maySayMore } from '../../migration/report/later.ts';
import type { Report } from '../../protocol/public/migration.ts';
import type { Migrations } from '../store/migrations.ts';
import type { HeldShards } from '../inventory/leases.ts';
import { packed, unpacked } from './kept-report.ts';
import { reportOf, type RecorderDependencies } from './recorder.ts';

/** Pause between two questions for one report, ms. */
const EVERY_MS = 60_000;
const ANSWER_MS = 10_000;
/** A site's check may take a day; nothing is awaited longer than this, ms. */
const LONGEST_MS = 25 * 3_600_000;
/** The oldest are given up first. */
const MAX = 10_000;
const MAX_PER_HOST = 200;
const AT_ONCE = 4;

interface AwaitedReport {
  readonly host: string;
  readonly id: string;
  readonly untilMs: number;
  readonly dueMs: number;
}

export interface LateReportsDependencies {
  readonly migrations: Pick<Migrations, 'reportedBy' | 'reportsSince' | 'complete' | 'nowMs'>;
  readonly agentAt: RecorderDependencies['agentAt'];
  readonly held: () => HeldShards;
  readonly log: Log;
  readonly monotonicMs: () => number;
}

/** Reports that grow after their migration has ended: the guest's later answers, and the result of the site's check. */
export class LateReports {
  readonly #deps: LateReportsDependencies;
  readonly #awaited = new Map<string, AwaitedReport>();
  /** One question at a time for each host, so that a dead host delays no other. */
  readonly #asked = new Map<string, Promise<void>>();

  constructor(deps: LateReportsDependencies) {
    this.#deps = deps;
  }

  get count(): number {
    return this.#awaited.size;
  }

  written(host: string, report: Report): void {
    if (!maySayMore(report)) return;
    const nowMs = this.#deps.monotonicMs();
    const { id } = report;
    const own = [...this.#awaited].filter(([, each]) => each.host === host);
    const isFull = this.#awaited.size >= MAX;
    const [oldest] = own.length >= MAX_PER_HOST || !isFull ? own : this.#awaited;
    if (oldest !== undefined && (isFull || own.length >= MAX_PER_HOST))
      this.#awaited.delete(oldest[0]);
    const times = { untilMs: nowMs + LONGEST_MS, dueMs: nowMs + EVERY_MS };
    this.#awaited.set(keyOf(host, id), { host, id, ...times });
  }

  async followed(host: string): Promise<void> {
    const { migrations } = this.#deps;
    const since = (await migrations.nowMs()) - LONGEST_MS;
    for (const kept of await migrations.reportsSince(host, since, MAX_PER_HOST))
      this.written(host, unpacked(kept));
  }

  left(host: string): void {
    for (const [key, each] of this.#awaited) if (each.host === host) this.#awaited.delete(key);
  }

  turn(signal: AbortSignal): void {
    const nowMs = this.#deps.monotonicMs();
    for (const [key, each] of this.#awaited) {
      if (this.#asked.size >= AT_ONCE) return;
      const { host, id } = each;
      if (each.dueMs > nowMs || this.#asked.has(host)) continue;
      this.#awaited.delete(key);
      if (nowMs > each.untilMs) continue;
      this.#awaited.set(key, { ...each, dueMs: nowMs + EVERY_MS });
      const asked = this.#ask(id, host, signal);
      this.#asked.set(
        host,
        asked.finally(() => this.#asked.delete(host)),
      );
    }
  }

  async settled(): Promise<void> {
    await Promise.all(this.#asked.values());
  }

  async #ask(id: string, host: string, signal: AbortSignal): Promise<void> {
    const { migrations, agentAt, held, log } = this.#deps;
    try {
      const [api, known] = [agentAt(host), await migrations.reportedBy(host, id)];
      const key = keyOf(host, id);
      const before = known?.report ?? undefined;
      if (before === undefined) this.#awaited.delete(key);
      if (api === undefined || known === undefined || before === undefined) return;
      const { guest, source: from, destination: to } = known.row;
      const within = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
      const report = await reportOf({ api, signal: within }, { id, guest, from, to });
      const text = report === undefined ? undefined : packed(report);
      if (text !== undefined && text !== before) await migrations.complete(held(), host, id, text);
      if (report === undefined || !maySayMore(report)) this.#awaited.delete(key);
    } catch (thrown) {
      log.debug({ id, host, error: toGodwitError(thrown) }, 'report not completed');
    }
  }
}

const keyOf = (host: string, id: string): string => `${host} ${id}`;
