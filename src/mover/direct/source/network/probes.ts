import type { Clock } from '../../../../clock.ts';
import type { Log } from '../../../../log.ts';
import {
  isNearSwitch,
  isWatchedEarly,
  probeReportOf,
} from '../../../../migration/report/probes.ts';
import type { MemorySample } from '../../../../protocol/public/migration.ts';
import type { NicNetwork } from '../../../../protocol/network.ts';
import type { WatchEnd, WatchOrder } from '../../../../protocol/peer/probe.ts';
import type { ProbeReport } from '../../../../protocol/public/probe.ts';
import type { Connect } from '../../../shared/surroundings.ts';
import {
  askToWatch,
  endWatchOf,
  LEASE_MS,
  RENEW_MS,
  watchingHosts,
  type WatchingHost,
} from '../../../shared/watching-hosts.ts';
import type { MoverParts } from '../source-base.ts';
import { configuredOf } from '../../../../network/probe/choose.ts';

/** Delay before a host that does not watch yet is asked again. */
const AGAIN_MS = 250;
/** Time that watching hosts wait for a guest that is silent at the end, ms. */
const END_MS = 6000;
const CLOSE_MS = 1000;
const MAX_ADDRESSES = 8;

type Dependencies = Pick<MoverParts, 'config' | 'request' | 'state'>;

const NO_ADDRESS =
  'no address of the guest is known; name it under `network.probe.addresses` of its source';

/** Other hosts' agents that watch the guest. Nothing waits for them, and their errors do not matter. */
export class SourceProbes {
  readonly #deps: Dependencies;
  readonly #connect: Connect;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #over = new AbortController();
  #memoryMs: number | undefined;
  #stoppedMs: number | undefined;
  #ranMs: number | undefined;
  #places: readonly WatchingHost[] | undefined;
  #results: Promise<ProbeReport[]> | undefined;

  constructor(deps: Dependencies, connect: Connect, clock: Clock, log: Log) {
    this.#deps = deps;
    this.#connect = connect;
    this.#clock = clock;
    this.#log = log;
  }

  /** Before the guest is built at its destination: begins watching if the switchover may come soon. */
  early(): void {
    const { plan, known } = this.#deps.state();
    const { memoryBytes = 0 } = known.description ?? {};
    if (isWatchedEarly(plan.settings.mode, memoryBytes)) this.#begin();
  }

  saw(sample: MemorySample): void {
    if (this.#places === undefined && isNearSwitch(sample)) this.#begin();
  }

  #begin(): void {
    if (this.#places !== undefined || this.#results !== undefined) return;
    const order = orderOf(this.#deps);
    this.#places = order === undefined ? [] : this.#open();
    const isKnown = order?.nics.some(({ addresses }) => addresses.length > 0) === true;
    if (order !== undefined && isKnown) void this.#keepOn(this.#places, order);
    else for (const place of this.#places) place.why = NO_ADDRESS;
  }

  #open(): WatchingHost[] {
    const { config, state } = this.#deps;
    const { from, to } = state().plan;
    return watchingHosts(config, [from, to], this.#connect);
  }

  async #keepOn(places: readonly WatchingHost[], order: WatchOrder): Promise<void> {
    const { signal } = this.#over;
    try {
      for (;;) {
        await Promise.all(places.map((place) => askToWatch(place, order, this.#clock, signal)));
        const isWatched = places.every(({ why }) => why === undefined);
        await this.#clock.sleep(isWatched ? RENEW_MS : AGAIN_MS, signal);
      }
    } catch {
      // The migration is over, or the results are being fetched.
    }
  }

  /** Memory begins to move; the first call counts. */
  memory(): void {
    this.#memoryMs ??= this.#clock.wallMs();
  }

  /** The guest is paused; the last call counts. */
  stopped(): void {
    this.#stoppedMs = this.#clock.wallMs();
  }

  ran(): void {
    this.#ranMs = this.#clock.wallMs();
  }

  get stoodStillMs(): number {
    return Math.max(0, (this.#ranMs ?? 0) - (this.#stoppedMs ?? this.#ranMs ?? 0));
  }

  #momentsBy({ clock }: WatchingHost): WatchEnd {
    if (clock === undefined) return {};
    const { aheadMs } = clock;
    const [memoryMs, stoppedMs, ranMs] = [this.#memoryMs, this.#stoppedMs, this.#ranMs];
    const isKnown = stoppedMs !== undefined && ranMs !== undefined;
    return {
      ...(memoryMs === undefined ? {} : { memoryFromMs: memoryMs + aheadMs }),
      ...(isKnown ? { switch: { fromMs: stoppedMs + aheadMs, toMs: ranMs + aheadMs } } : {}),
    };
  }

  /** The guest runs at its destination with all memory: starts to fetch the results. */
  end(): void {
    this.#results ??= this.#fetch();
  }

  /** One line per host. Never rejects. */
  async results(): Promise<ProbeReport[]> {
    this.end();
    return (await this.#results) ?? [];
  }

  async #fetch(): Promise<ProbeReport[]> {
    // After a takeover, the earlier mover's watches continue for a while.
    const places = this.#places ?? (orderOf(this.#deps) === undefined ? [] : this.#open());
    this.#places = places;
    this.#over.abort(new Error('the watch is over'));
    const startedAt = Date.parse(this.#deps.request.createdAt);
    const { probe } = this.#deps.config.network;
    const later = probe === 'off' || probe.laterMs === 0 ? {} : { laterMs: probe.laterMs };
    const fetched = places.map(async (place) => {
      const of = { ...this.#momentsBy(place), ...later };
      const result = await endWatchOf(place, this.#deps.request.id, of, END_MS);
      return probeReportOf(place.host, result, Math.max(0, this.#clock.wallMs() - startedAt));
    });
    const all = await Promise.all(fetched);
    this.#log.debug({ hosts: all.length }, 'what other hosts saw was fetched');
    return all;
  }

  /** Ends all watches, including those that outlive an unfinished migration. Never rejects. */
  async close(id: string, isDone: boolean): Promise<void> {
    this.#over.abort(new Error('the migration has ended'));
    const places = this.#places ?? [];
    if (this.#results === undefined || !isDone)
      await Promise.all(places.map((place) => endWatchOf(place, id, {}, CLOSE_MS)));
    for (const { agent } of places) agent.close();
  }
}

/** Undefined if nothing can be watched: no NIC here, or no known address. */
function orderOf({ config, request, state }: Dependencies): WatchOrder | undefined {
  const { probe } = config.network;
  const { networks = [] } = state().known;
  if (probe === 'off' || networks.length === 0) return undefined;
  const { guest } = request.request;
  const { hosts: _hosts, addresses, laterMs: _laterMs, ...probing } = probe;
  const nics = networks.map((nic) => withAddresses(nic, configuredOf(addresses, guest)));
  const { to } = state().plan;
  return { id: request.id, guest, to, nics, probing, leaseMs: LEASE_MS };
}

function withAddresses(nic: NicNetwork, configured: readonly string[]): NicNetwork {
  const addresses = [...new Set([...configured, ...nic.addresses])].slice(0, MAX_ADDRESSES);
  return { ...nic, addresses };
}
