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
import type { Connect } from '../../../engine/surroundings.ts';
import {
  askToWatch,
  endWatchOf,
  LEASE_MS,
  RENEW_MS,
  watchingHosts,
  type WatchingHost,
} from '../../../engine/watching-hosts.ts';
import type { MoverParts } from '../source-base.ts';
import { configuredOf } from '../../../../network/probe/choose.ts';

/** A host that does not watch yet is asked again so soon: it asks the destination, which may not know the guest yet. */
const AGAIN_MS = 250;
/** A guest that is silent at the end is waited for by whoever watches it. */
const END_MS = 6000;
/** After a migration that failed, nobody waits for long. */
const CLOSE_MS = 1000;
const MAX_ADDRESSES = 8;

type Dependencies = Pick<MoverParts, 'config' | 'request' | 'state'>;

const NO_ADDRESS =
  'no address of the guest is known; name it under `network.probe.addresses` of its source';

/**
 * Other hosts' agents, which watch the guest while it moves. They are asked beside everything else: nothing waits for
 * them, and nothing that goes wrong with them is a failure of the migration.
 */
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

  /** It is about to be built at its destination: where the switch may come soon, the watch begins. */
  early(): void {
    const { plan, known } = this.#deps.state();
    const { memoryBytes = 0 } = known.description ?? {};
    if (isWatchedEarly(plan.settings.mode, memoryBytes)) this.#begin();
  }

  /** A look at its stream. */
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

  /** Memory begins to move; the first time counts. */
  memory(): void {
    this.#memoryMs ??= this.#clock.wallMs();
  }

  /** The guest is paused, as far as this side has heard; the last time counts. */
  stopped(): void {
    this.#stoppedMs = this.#clock.wallMs();
  }

  /** It runs at its destination. */
  ran(): void {
    this.#ranMs = this.#clock.wallMs();
  }

  /** As far as this side has heard, ms; 0 where it has not. */
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

  /** The guest runs at its destination, and its memory is there: what was seen is fetched meanwhile. */
  end(): void {
    this.#results ??= this.#fetch();
  }

  /** One line a host. Never rejects. */
  async results(): Promise<ProbeReport[]> {
    this.end();
    return (await this.#results) ?? [];
  }

  async #fetch(): Promise<ProbeReport[]> {
    // A mover that took over has begun none, and those of the one before go on for a while.
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

  /** Whoever still watches is asked to end; where the migration is not done, also who goes on after it. Never rejects. */
  async close(id: string, isDone: boolean): Promise<void> {
    this.#over.abort(new Error('the migration has ended'));
    const places = this.#places ?? [];
    if (this.#results === undefined || !isDone)
      await Promise.all(places.map((place) => endWatchOf(place, id, {}, CLOSE_MS)));
    for (const { agent } of places) agent.close();
  }
}

/** What is to be watched; undefined where nobody can: it has no NIC here, or nobody knows an address of it. */
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

/** Those that are configured come first: they are meant. */
function withAddresses(nic: NicNetwork, configured: readonly string[]): NicNetwork {
  const addresses = [...new Set([...configured, ...nic.addresses])].slice(0, MAX_ADDRESSES);
  return { ...nic, addresses };
}
