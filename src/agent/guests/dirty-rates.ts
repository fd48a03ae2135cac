import type { Clock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import type { DiscoveredGuest, GuestHandle } from '../../port/inventory.ts';
import { toGodwitError } from '../../errors.ts';
import { processorLoad } from '../../host/machine/processor-load.ts';
import type { Log } from '../../log.ts';
import { RATE_WINDOW_MS, rateWithin } from '../../migration/prediction/curve.ts';
import type { GuestLoads } from './guest-loads.ts';
import { guestOf, type Guests } from './guests.ts';
import { driverOf } from '../processes/hypervisor-life.ts';
import type { MigrationStore } from '../migrations/store.ts';

const TICK_MS = 10_000;
/** Pause between two measurements of one guest; longer if the host has more guests than ticks. */
const EVERY_MS = 600_000;
const LOOK_MS = 10_000;
/** A longer window means that the host was too busy. */
const LONGEST_WINDOW_MS = 1.5 * RATE_WINDOW_MS;
const BUSY_LOAD = 2;

export interface DirtyRatesDependencies {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
  readonly store: Pick<MigrationStore, 'running'>;
  readonly guests: Pick<Guests, 'known' | 'drivers'>;
  readonly guestLoads: Pick<GuestLoads, 'isCounted' | 'dirtied'>;
  readonly isBusy?: () => boolean;
}

/** Measures the guests' dirty rates, one after the other, so that load histories have them without a plan. */
export class DirtyRates {
  readonly #deps: DirtyRatesDependencies;
  readonly #over = new AbortController();
  #lookedMs: ReadonlyMap<string, number> = new Map();
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: DirtyRatesDependencies) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#over.abort(new Error('the agent is stopping'));
  }

  look(): Promise<void> {
    this.#looking ??= this.#lookAtNext().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #lookAtNext(): Promise<void> {
    const { clock, log, guests } = this.#deps;
    const nowMs = clock.monotonicMs();
    const names = new Set(guests.known().map(({ info }) => info.name));
    this.#lookedMs = new Map([...this.#lookedMs].filter(([name]) => names.has(name)));
    const next = nextOf(this.#lookable(), this.#lookedMs, nowMs - EVERY_MS);
    if (next === undefined || this.#over.signal.aborted || this.#isBusy()) return;
    const { name } = next.info;
    this.#lookedMs = new Map(this.#lookedMs).set(name, nowMs);
    try {
      await this.#lookAt(name, next.handle);
    } catch (error) {
      if (this.#over.signal.aborted) return;
      log.debug({ guest: name, error: toGodwitError(error) }, 'dirty rate of a guest not measured');
    }
  }

  async #lookAt(name: string, handle: GuestHandle): Promise<void> {
    const { guests, guestLoads } = this.#deps;
    const driver = driverOf(guests.drivers, handle);
    const what = `to look at what ${name} writes`;
    const point = await withDeadline(what, LOOK_MS, this.#over.signal, async (signal) =>
      driver?.sampleDirty?.(handle, signal),
    );
    if (point === undefined || point.windowMs > LONGEST_WINDOW_MS || this.#moving().has(name))
      return;
    guestLoads.dirtied(name, rateWithin(point));
  }

  #lookable(): Lookable[] {
    const { guests, guestLoads } = this.#deps;
    const moving = this.#moving();
    return guests.known().flatMap(({ info, handle }): Lookable[] => {
      const { name, state, migration } = info;
      const isAtRest = state === 'running' && migration === undefined && !moving.has(name);
      const canBe = driverOf(guests.drivers, handle)?.sampleDirty !== undefined;
      const takes = isAtRest && canBe && guestLoads.isCounted(name);
      return takes && handle !== undefined ? [{ info, handle }] : [];
    });
  }

  #moving(): ReadonlySet<string> {
    return new Set(this.#deps.store.running().map(guestOf));
  }

  #isBusy(): boolean {
    const { isBusy = isHostBusy } = this.#deps;
    return isBusy();
  }
}

type Lookable = Pick<DiscoveredGuest, 'info'> & { readonly handle: GuestHandle };

function nextOf(
  all: readonly Lookable[],
  lookedMs: ReadonlyMap<string, number>,
  dueMs: number,
): Lookable | undefined {
  const when = ({ info }: Lookable): number => lookedMs.get(info.name) ?? -Infinity;
  const due = all.filter((each) => when(each) <= dueMs);
  const firstMs = due.reduce((least, each) => Math.min(least, when(each)), Infinity);
  return due.find((each) => when(each) === firstMs);
}

function isHostBusy(): boolean {
  const { cores, load } = processorLoad();
  return load > cores * BUSY_LOAD;
}
