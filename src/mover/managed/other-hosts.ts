import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { probeReportOf } from '../../migration/report/probes.ts';
import type { WatchOrder } from '../../protocol/peer/probe.ts';
import type { ProbeReport } from '../../protocol/public/probe.ts';
import type { Connect } from '../shared/surroundings.ts';
import {
  askToWatch,
  endWatchOf,
  LEASE_MS,
  RENEW_MS,
  watchingHosts,
  type WatchingHost,
} from '../shared/watching-hosts.ts';

/** Time that watching hosts wait for a guest that is silent at the end, ms. */
const END_MS = 6000;
const CLOSE_MS = 1000;

export interface WatchedGuest extends Pick<
  WatchOrder,
  'id' | 'guest' | 'probing' | 'leastIntervalMs'
> {
  readonly ends: readonly string[];
}

/**
 * Uninvolved hosts that watch a managed guest, at the addresses in their own configuration. Nothing waits for them,
 * and their errors do not fail the migration.
 */
export class OtherHosts {
  readonly #config: AgentConfig;
  readonly #connect: Connect;
  readonly #clock: Clock;
  readonly #over = new AbortController();
  #places: readonly WatchingHost[] = [];
  #watched: WatchedGuest | undefined;
  #isFetched = false;

  constructor(config: AgentConfig, connect: Connect, clock: Clock) {
    this.#config = config;
    this.#connect = connect;
    this.#clock = clock;
  }

  /** Once; they watch until `results` or `close`. */
  begin(watched: WatchedGuest): void {
    if (this.#watched !== undefined) return;
    this.#watched = watched;
    const { ends, ...of } = watched;
    // This host's mover watches by itself.
    this.#places = watchingHosts(this.#config, [...ends, this.#config.name], this.#connect).filter(
      ({ host }) => host !== this.#config.name,
    );
    void this.#keepOn({ ...of, nics: [], managed: true, leaseMs: LEASE_MS });
  }

  async #keepOn(order: WatchOrder): Promise<void> {
    const { signal } = this.#over;
    try {
      while (this.#places.length > 0) {
        await Promise.all(
          this.#places.map((place) => askToWatch(place, order, this.#clock, signal)),
        );
        await this.#clock.sleep(RENEW_MS, signal);
      }
    } catch {
      // The migration is over, or the results are being fetched.
    }
  }

  /** One line per host. `askedAtMs`: wall clock of the request. Never rejects. */
  async results(askedAtMs: number): Promise<ProbeReport[]> {
    const watched = this.#watched;
    if (watched === undefined) return [];
    this.#isFetched = true;
    this.#over.abort(new Error('the watch is over'));
    return Promise.all(
      this.#places.map(async (place) => {
        const result = await endWatchOf(place, watched.id, {}, END_MS);
        return probeReportOf(place.host, result, Math.max(0, this.#clock.wallMs() - askedAtMs));
      }),
    );
  }

  async close(): Promise<void> {
    this.#over.abort(new Error('the migration has ended'));
    const id = this.#watched?.id;
    if (id !== undefined && !this.#isFetched)
      await Promise.all(this.#places.map((place) => endWatchOf(place, id, {}, CLOSE_MS)));
    for (const { agent } of this.#places) agent.close();
    this.#places = [];
  }
}
