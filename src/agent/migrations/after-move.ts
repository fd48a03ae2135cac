import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import {
  afterAnswers,
  hostsToAsk,
  isLaterOver,
  laterFrom,
  laterState,
  withLater,
  type HostAnswer,
  type LaterState,
} from '../../migration/report/later.ts';
import { isManagedRequest } from '../../protocol/mover/request.ts';
import type { Report } from '../../protocol/public/migration.ts';
import { MAX_LATER_MS } from '../../protocol/public/probe.ts';
import { AfterEnd } from './after-end.ts';
import type { Peers } from '../peers.ts';
import type { GuestProbes } from '../host/probes.ts';
import type { Migration, MigrationStore } from './store.ts';

const ANSWER_MS = 3000;

export interface AfterMoveDependencies {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Pick<MigrationStore, 'all' | 'isEnded' | 'progress' | 'report'>;
  readonly peers: Pick<Peers, 'probing'>;
  readonly probes: Pick<GuestProbes, 'later'>;
}

/** Queries the hosts that probe a guest after it has left this host, and keeps their results next to the journal. */
export class AfterMove extends AfterEnd<LaterState> {
  readonly #deps: AfterMoveDependencies;

  constructor(deps: AfterMoveDependencies) {
    const { log, store } = deps;
    super({ log, store, file: 'later.json', schema: laterState });
    this.#deps = deps;
  }

  complete(report: Report, dir: string): Report {
    if (report.outcome !== 'done' || report.vantages === undefined) return report;
    const state = this.stateOf({ id: report.id, dir });
    return withLater(report, state, this.#deps.clock.wallMs());
  }

  protected async advance(migration: Migration, signal: AbortSignal): Promise<'more' | 'over'> {
    const { id, request } = migration;
    const { clock, store } = this.#deps;
    if (request.side !== 'source' || isManagedRequest(request)) return 'over';
    if (!store.isEnded(id)) return 'more';
    const { phase } = store.progress(id);
    // An operator may still resolve it as done.
    if (phase === 'held') return 'more';
    const known = this.stateOf(migration);
    const state = known ?? this.#begin(migration);
    if (state === undefined || isLaterOver(state)) return 'over';
    if (known === undefined) this.keep(migration, state);
    const hosts = hostsToAsk(state, clock.wallMs());
    if (hosts.length === 0) return 'more';
    const answers = await Promise.all(
      hosts.map(async (host) => [host, await this.#ask(host, id, signal)] as const),
    );
    if (store.all().includes(migration))
      this.keep(migration, afterAnswers(state, new Map(answers), clock.wallMs()));
    return 'more';
  }

  #begin({ id, request }: Migration): LaterState | undefined {
    const { store, clock, log } = this.#deps;
    try {
      const { phase, elapsedMs } = store.progress(id);
      const endedMs = Date.parse(request.createdAt) + elapsedMs;
      if (phase !== 'done' || clock.wallMs() - endedMs > 2 * MAX_LATER_MS) return undefined;
      return laterFrom(store.report(id));
    } catch (error) {
      log.error(
        { id, error: toGodwitError(error) },
        'state of the guest not checked after the move',
      );
      return undefined;
    }
  }

  async #ask(host: string, id: string, signal: AbortSignal): Promise<HostAnswer> {
    const { name, peers, probes } = this.#deps;
    try {
      if (host === name) return probes.later(id, { name });
      const within = { deadlineMs: ANSWER_MS, signal };
      return await peers.probing(host).laterWatch({ params: { id } }, within);
    } catch (thrown) {
      signal.throwIfAborted();
      return { silent: toGodwitError(thrown).message.slice(0, 1024) };
    }
  }
}
