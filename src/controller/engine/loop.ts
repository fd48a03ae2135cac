import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { Mutex } from '../../mutex.ts';
import { EventLoopYield } from '../event-loop-yield.ts';
import { Carrier, type CarrierDependencies } from './carrier.ts';
import type { Claim } from './ports.ts';

export interface LoopDependencies extends Omit<
  CarrierDependencies,
  'leaseMs' | 'turns' | 'yieldTurn'
> {
  readonly clock: Clock;
  readonly log: Log;
  /** Unique to this process; only for people, since epochs decide. */
  readonly owner: string;
  readonly leaseMs?: number;
  readonly most?: number;
}

/** Another controller takes over a dead controller's requests after this time, ms. */
const LEASE_MS = 6000;
const MAX = 1000;
const LOOK_FOR_WORK_MS = 500;
/** Pause between rounds while agents work; longer with many running moves, but short enough to start the next. */
const WAIT_MS = { least: 300, most: 900 };
const LOOKS_A_SECOND = 400;
/** If only the fleet can change, the request is released and due again after this time. */
const IDLE_MS = 1000;
const AFTER_ERROR_MS = 1000;

export class RequestLoop {
  readonly #deps: LoopDependencies & CarrierDependencies & { readonly most: number };
  readonly #stop = new AbortController();
  readonly #ended = new AbortController();
  readonly #works = new Set<Promise<void>>();
  readonly #carriers = new Set<Carrier>();
  #taking: Promise<void> = Promise.resolve();
  #beating: Promise<void> = Promise.resolve();

  constructor(deps: LoopDependencies) {
    const eventLoop = new EventLoopYield(() => deps.clock.monotonicMs());
    const own = { turns: new Mutex(), yieldTurn: () => eventLoop.next() };
    this.#deps = { leaseMs: LEASE_MS, most: MAX, ...own, ...deps };
  }

  start(): void {
    this.#taking = this.#take();
    this.#beating = this.#beat();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#taking;
    await Promise.all(this.#works);
    this.#ended.abort();
    await this.#beating;
  }

  async #take(): Promise<void> {
    const { store, owner, leaseMs, most, log } = this.#deps;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const claim = this.#works.size < most ? await store.acquire(owner, leaseMs) : undefined;
        if (claim !== undefined) {
          const work: Promise<void> = this.#work(claim).finally(() => this.#works.delete(work));
          this.#works.add(work);
          continue;
        }
        await this.#sleep(LOOK_FOR_WORK_MS);
      } catch (thrown) {
        log.warn({ error: toGodwitError(thrown) }, 'requests could not be resumed');
        await this.#sleep(AFTER_ERROR_MS);
      }
    }
  }

  async #work(claim: Claim): Promise<void> {
    const { log, store } = this.#deps;
    const carrier = new Carrier(claim, this.#deps);
    this.#carriers.add(carrier);
    let dueInMs = 0;
    try {
      dueInMs = await this.#carry(carrier);
    } finally {
      await carrier.end();
      this.#carriers.delete(carrier);
      try {
        await store.release(carrier.claim, dueInMs);
      } catch (thrown) {
        log.warn({ request: claim.request, error: toGodwitError(thrown) }, 'claim not released');
      }
    }
  }

  /** Works until the request has ended, is lost or is idle; returns when it is due again, in ms. */
  async #carry(carrier: Carrier): Promise<number> {
    const { log } = this.#deps;
    const { request } = carrier.claim;
    while (!this.#stop.signal.aborted) {
      try {
        const round = await carrier.round();
        if (round === 'ended' || round === 'lost') {
          log.info({ request, epoch: carrier.claim.epoch, round }, 'work on a request ended');
          return 0;
        }
        if (round === 'idle') return IDLE_MS;
        if (round === 'again') continue;
        await Promise.race([this.#sleep(this.#waitMs()), carrier.ended, ...carrier.pending]);
      } catch (thrown) {
        log.warn({ request, error: toGodwitError(thrown) }, 'request could not be continued');
        await this.#sleep(AFTER_ERROR_MS);
      }
    }
    return 0;
  }

  #waitMs(): number {
    const moves = [...this.#carriers].reduce((sum, { underway }) => sum + underway, 0);
    return Math.min(WAIT_MS.most, Math.max(WAIT_MS.least, (1000 * moves) / LOOKS_A_SECOND));
  }

  /** A round may wait longer than the lease for the store or a plan. All claims are renewed in one write. */
  async #beat(): Promise<void> {
    const { store, leaseMs, clock, log } = this.#deps;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        await clock.sleep(leaseMs / 4, signal);
        const claims = [...this.#carriers].map(({ claim }) => claim);
        await store.renewAll(claims, leaseMs);
      } catch (thrown) {
        if (!signal.aborted) log.debug({ error: toGodwitError(thrown) }, 'leases not renewed');
      }
    }
  }

  async #sleep(ms: number): Promise<void> {
    await this.#deps.clock.sleep(ms, this.#stop.signal).catch(() => {});
  }
}
