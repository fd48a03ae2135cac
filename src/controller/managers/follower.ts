import type { Clock } from '../../clock.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { HostEvent } from '../../protocol/public/hosts/host-event.ts';
import type { GuestInfo } from '../../protocol/public/hosts/host.ts';
import type { ManagedHost } from '../../protocol/public/hosts/managed-host.ts';
import type { MigrationSummary, Progress } from '../../protocol/public/migration.ts';
import { everyPage } from '../../protocol/public/page.ts';
import { ReadBudget } from '../inventory/read-budget.ts';
import type { Api, Client } from '../../rpc/client.ts';

export const SILENT_MS = 15_000;
/** Per page; the first one makes the manager read. */
const ANSWER_MS = 45_000;
const RETRY_MS = 1000;
const MAX_HOSTS = 10_000;
const MAX_GUESTS = 100_000;
/** All pages of one look; a guest is about 1 KiB. */
export const MAX_MANAGER_BYTES = 256 * 1024 * 1024;
/** Events: a burst of 100,000 guests' reports in a minute, then 4 MiB/s. */
const MANAGER_EVENTS = { burstBytes: 64 * 1024 * 1024, bytesPerS: 4 * 1024 * 1024 };
/** Longest pause for a manager over its budget; a manager counts as silent after a much longer one. */
const MAX_PACE_MS = 5000;
/** Newest migrations, which may not be stored yet. */
const NEWEST = 200;

/** Receives a manager's reports; calls are in order. */
export interface ManagerHeard {
  all(hosts: readonly ManagedHost[], guests: readonly GuestInfo[]): void;
  host(host: ManagedHost): void;
  hostGone(name: string): void;
  guest(guest: GuestInfo): void;
  guestGone(name: string): void;
  /** A migration that its agent made before, or whose phase changed. */
  migrated(migration: Pick<MigrationSummary, 'from' | 'to'>): void;
  moved(progress: Progress): void;
  silent(reason: string): void;
}

export interface ManagerFollowerDependencies {
  readonly speak: () => Client<typeof agentContract>;
  readonly heard: ManagerHeard;
  readonly clock: Clock;
}

export class ManagerFollower {
  readonly #deps: ManagerFollowerDependencies;
  readonly #end = new AbortController();
  #stream = new AbortController();
  readonly #budget: ReadBudget;
  readonly #ended: Promise<void>;

  constructor(deps: ManagerFollowerDependencies) {
    this.#deps = deps;
    this.#budget = new ReadBudget(MANAGER_EVENTS, deps.clock.monotonicMs());
    this.#ended = this.#run();
  }

  again(): void {
    this.#stream.abort();
  }

  async end(): Promise<void> {
    this.#end.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    const { clock, heard } = this.#deps;
    while (!signal.aborted) {
      this.#stream = new AbortController();
      try {
        await this.#follow(AbortSignal.any([signal, this.#stream.signal]));
      } catch (thrown) {
        if (signal.aborted) return;
        if (this.#stream.signal.aborted) continue;
        heard.silent(toGodwitError(thrown).message.slice(0, 1000));
        await clock.sleep(RETRY_MS, signal).catch(() => {});
      }
    }
  }

  #paced(bytes: number, signal: AbortSignal): Promise<void> | undefined {
    const { clock } = this.#deps;
    this.#budget.take(bytes, clock.monotonicMs());
    const waitMs = Math.min(MAX_PACE_MS, this.#budget.waitMs(clock.monotonicMs()));
    return waitMs === 0 ? undefined : clock.sleep(waitMs, signal);
  }

  /** Returns if its knowledge may be incomplete; the next stream reads the lists again. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { api, close } = this.#deps.speak();
    try {
      const pace = (bytes: number) => this.#paced(bytes, signal);
      const stream = api.hostEvents({ query: {} }, { signal, deadlineMs: ANSWER_MS, pace });
      const events = stream[Symbol.asyncIterator]();
      const first = await events.next();
      if (first.done !== true) await this.#lists(api, signal);
      for (;;) {
        const next = await events.next();
        if (next.done === true) break;
        if (!this.#hear(next.value)) return;
      }
    } finally {
      close();
    }
    const reason = 'its agent ended the stream of events';
    throw godwitError('GODWIT_UNREACHABLE', { peer: 'the manager', address: 'its agent', reason });
  }

  async #lists(api: Api<typeof agentContract>, signal: AbortSignal): Promise<void> {
    const { heard } = this.#deps;
    // Shared by all pages. GODWIT_TOO_LARGE beyond: the manager counts as silent, for that reason.
    const allowance = { bytes: MAX_MANAGER_BYTES };
    const options = { deadlineMs: ANSWER_MS, signal, allowance };
    const hosts = await everyPage(async (cursor) => {
      const { hosts: items, next } = await api.managedHosts({ query: { cursor } }, options);
      return next === undefined ? { items } : { items, next };
    }, MAX_HOSTS);
    const guests = await everyPage(async (cursor) => {
      const { guests: items, next } = await api.guests({ query: { cursor } }, options);
      return next === undefined ? { items } : { items, next };
    }, MAX_GUESTS);
    heard.all(hosts, guests);
    const { migrations } = await api.migrations({ query: { limit: NEWEST } }, options);
    for (const each of migrations) heard.migrated(each);
  }

  /** False if the lists must be read again. */
  #hear(event: HostEvent): boolean {
    const { heard } = this.#deps;
    switch (event.type) {
      case 'ready':
      case 'load':
        return true;
      case 'lost':
        return false;
      case 'guest':
        heard.guest(event.guest);
        return true;
      case 'guest-gone':
        heard.guestGone(event.name);
        return true;
      case 'migration':
        heard.moved(event.migration);
        return true;
      case 'managed-host':
        heard.host(event.host);
        return true;
      case 'managed-host-gone':
        heard.hostGone(event.name);
        return true;
      case 'manager':
        if (event.state === 'silent') heard.silent(event.reason ?? 'it does not answer');
        return event.state === 'silent';
    }
  }
}
