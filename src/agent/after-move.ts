import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../clock.ts';
import { toGodwitError } from '../errors.ts';
import { writeWhole } from '../host/whole-file.ts';
import type { Log } from '../log.ts';
import {
  afterAnswers,
  hostsToAsk,
  isLaterOver,
  laterFrom,
  laterState,
  withLater,
} from '../migration/report/later.ts';
import type { HostAnswer, LaterState } from '../migration/report/later.ts';
import { isManagedRequest } from '../protocol/mover/request.ts';
import type { Report } from '../protocol/public/migration.ts';
import { MOST_LATER_MS } from '../protocol/public/probe.ts';
import type { Peers } from './peers.ts';
import type { GuestProbes } from './probes.ts';
import type { Migration, MigrationStore } from './store.ts';

const LOOK_MS = 1000;
const ANSWER_MS = 3000;
/** In the migration's directory. */
const FILE = 'later.json';

export interface AfterMoveParts {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Pick<MigrationStore, 'all' | 'isEnded' | 'progress' | 'report'>;
  readonly peers: Pick<Peers, 'probing'>;
  readonly probes: Pick<GuestProbes, 'later'>;
}

/** Asks the hosts that probe a guest after it has left from here what they see, and keeps it beside the journal. */
export class AfterMove {
  readonly #parts: AfterMoveParts;
  readonly #over = new AbortController();
  readonly #states = new Map<string, LaterState>();
  /** Migrations of which nothing more will be known. */
  readonly #settled = new Set<string>();
  readonly #busy = new Map<string, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: AfterMoveParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  /** Ends questions that are open; whoever starts the agent again goes on. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#over.abort(new Error('the agent is stopping'));
    await Promise.all(this.#busy.values());
  }

  /** Asks whoever is due now; resolves once they have answered. */
  async look(): Promise<void> {
    if (this.#over.signal.aborted) return;
    const all = this.#parts.store.all();
    for (const migration of all) {
      const { id } = migration;
      if (this.#settled.has(id) || this.#busy.has(id)) continue;
      const work = this.#advance(migration)
        .catch((error: unknown) => {
          if (this.#over.signal.aborted) return;
          // A disk may have room again at the next turn: until then it is kept in memory. A report that cannot be read stays so.
          if (!this.#states.has(id)) this.#settled.add(id);
          this.#parts.log.error({ id, error: toGodwitError(error) }, `${FILE} cannot be kept`);
        })
        .finally(() => this.#busy.delete(id));
      this.#busy.set(id, work);
    }
    await Promise.all(this.#busy.values());
    // Some were pruned. What is known lies on the disk, and is read again.
    if (this.#settled.size > all.length) {
      this.#settled.clear();
      this.#states.clear();
    }
  }

  /** The report of a migration from here, with what is known of the time after it. */
  complete(report: Report, dir: string): Report {
    if (report.outcome !== 'done' || report.vantages === undefined) return report;
    const state = this.#states.get(report.id) ?? this.#read(report.id, dir);
    return withLater(report, state, this.#parts.clock.wallMs());
  }

  async #advance(migration: Migration): Promise<void> {
    const { id, dir, request } = migration;
    if (request.side !== 'source' || isManagedRequest(request)) {
      this.#settled.add(id);
      return;
    }
    if (!this.#parts.store.isEnded(id)) return;
    // A person may yet resolve it as done.
    if (this.#parts.store.progress(id).phase === 'held') return;
    const state = this.#states.get(id) ?? this.#read(id, dir) ?? this.#begin(migration);
    if (state === undefined || isLaterOver(state)) {
      this.#settled.add(id);
      this.#states.delete(id);
      return;
    }
    this.#states.set(id, state);
    const { clock, store } = this.#parts;
    const hosts = hostsToAsk(state, clock.wallMs());
    if (hosts.length === 0) return;
    const answers = await Promise.all(
      hosts.map(async (host) => [host, await this.#ask(host, id)] as const),
    );
    // It may have been removed meanwhile.
    if (!store.all().includes(migration)) return;
    this.#keep(migration, afterAnswers(state, new Map(answers), clock.wallMs()));
  }

  /** Undefined where no host probes its guest; or where that was so long ago that nobody knows anything any more. */
  #begin(migration: Migration): LaterState | undefined {
    const { store, clock } = this.#parts;
    const { phase, elapsedMs } = store.progress(migration.id);
    const endedMs = Date.parse(migration.request.createdAt) + elapsedMs;
    if (phase !== 'done' || clock.wallMs() - endedMs > 2 * MOST_LATER_MS) return undefined;
    const state = laterFrom(store.report(migration.id));
    if (state !== undefined) this.#keep(migration, state);
    return state;
  }

  async #ask(host: string, id: string): Promise<HostAnswer> {
    const { name, peers, probes } = this.#parts;
    try {
      if (host === name) return probes.later(id, { name });
      const within = { deadlineMs: ANSWER_MS, signal: this.#over.signal };
      return await peers.probing(host).laterWatch({ params: { id } }, within);
    } catch (thrown) {
      this.#over.signal.throwIfAborted();
      return { silent: toGodwitError(thrown).message.slice(0, 1024) };
    }
  }

  /** Undefined where there is none, or none that can be read: then the report says that it is not known. */
  #read(id: string, dir: string): LaterState | undefined {
    const file = path.join(dir, FILE);
    if (!existsSync(file)) return undefined;
    try {
      return laterState.parse(JSON.parse(readFileSync(file, 'utf8')));
    } catch (error) {
      this.#parts.log.error({ id, error: toGodwitError(error) }, `${FILE} cannot be read`);
      return undefined;
    }
  }

  #keep({ id, dir }: Migration, state: LaterState): void {
    this.#states.set(id, state);
    writeWhole(path.join(dir, FILE), `${JSON.stringify(state)}\n`);
  }
}
