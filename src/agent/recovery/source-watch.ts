import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { LookAtKernel } from '../../host/watch-dark-host.ts';
import type { Log } from '../../log.ts';
import { whyExpired } from '../../migration/standby/freshness.ts';
import {
  afterHeartbeat,
  afterKernelLook,
  type SourceSight,
} from '../../migration/standby/source-sight.ts';
import { Poller } from '../../poller.ts';
import type { Peers } from '../peers.ts';
import type { Standbys } from './standbys.ts';

const LOOK_MS = 5000;
/** The source's kernel is probed if the last heartbeat is older, ms. */
const OVERDUE_MS = 15_000;
const AT_ONCE = 16;

export interface SourceWatchDependencies {
  readonly clock: Clock;
  readonly log: Log;
  readonly peers: Pick<Peers, 'address' | 'furtherAddresses'>;
  readonly standbys: Standbys;
  readonly lookAtKernel: LookAtKernel;
}

/**
 * Observes the hosts whose guests this host keeps, to bound how long a dead host may have lived after it confirmed a
 * description.
 */
export class SourceWatch {
  readonly #deps: SourceWatchDependencies;
  readonly #looks: Poller;
  readonly #sights = new Map<string, SourceSight>();
  readonly #notMemberSince = new Map<string, number>();

  constructor(deps: SourceWatchDependencies) {
    this.#deps = deps;
    this.#looks = new Poller(deps);
  }

  start(): void {
    this.#looks.start(LOOK_MS, () => this.look(), 'hosts of standbys were not looked at');
  }

  async close(): Promise<void> {
    await this.#looks.close();
  }

  heard(from: string): void {
    const nowMs = this.#deps.clock.monotonicMs();
    this.#sights.set(from, afterHeartbeat(this.sight(from), nowMs));
  }

  sight(from: string): SourceSight {
    return this.#sights.get(from) ?? {};
  }

  async look(): Promise<void> {
    const { standbys } = this.#deps;
    const sources = standbys.sources();
    for (const all of [this.#sights, this.#notMemberSince])
      for (const from of all.keys()) if (!sources.includes(from)) all.delete(from);
    const left = [...sources];
    const work = async (): Promise<void> => {
      for (let from = left.shift(); from !== undefined; from = left.shift())
        await this.#lookAt(from);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  async #lookAt(from: string): Promise<void> {
    const { clock, lookAtKernel } = this.#deps;
    const { signal } = this.#looks;
    const addresses = this.#addresses(from);
    const { heardAtMs } = this.sight(from);
    const isOverdue = heardAtMs === undefined || clock.monotonicMs() - heardAtMs >= OVERDUE_MS;
    if (isOverdue && addresses !== undefined && addresses.length > 0) {
      const look = await lookAtKernel(addresses, signal);
      if (signal.aborted) return;
      if (this.sight(from).heardAtMs === heardAtMs)
        this.#sights.set(from, afterKernelLook(this.sight(from), look, clock.monotonicMs()));
    }
    this.#expire(from, addresses);
  }

  /** Empty for a host that has left the fleet; undefined if the fleet's list cannot be read. */
  #addresses(from: string): string[] | undefined {
    const { peers, log } = this.#deps;
    try {
      const main = peers.address(from);
      return main === undefined ? [] : [main, ...peers.furtherAddresses(from)];
    } catch (thrown) {
      log.debug({ from, error: toGodwitError(thrown) }, 'fleet members unknown');
      return undefined;
    }
  }

  #expire(from: string, addresses: readonly string[] | undefined): void {
    const { clock, standbys, log } = this.#deps;
    const nowMs = clock.monotonicMs();
    if (addresses?.length !== 0) this.#notMemberSince.delete(from);
    else if (!this.#notMemberSince.has(from)) this.#notMemberSince.set(from, nowMs);
    const notMemberSinceMs = this.#notMemberSince.get(from);
    for (const { standby, confirmedAtMs, keptAtMs } of standbys.of(from)) {
      const { guest } = standby;
      const atMs = Math.max(confirmedAtMs ?? -Infinity, keptAtMs);
      const why = whyExpired({ atMs, notMemberSinceMs }, this.sight(from), nowMs);
      if (why === undefined) continue;
      standbys.forget(from, guest);
      log.info({ from, guest, why }, 'standby of a guest expired');
    }
  }
}
