import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { godwitError } from '../../errors.ts';
import { writeWhole } from '../../system/files/whole-file.ts';
import type { Log } from '../../log.ts';
import type { agentContract } from '../../protocol/contract.ts';
import { hostName } from '../../protocol/names.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { MAX_CLOSED_MS, type Occupancy } from '../../protocol/public/closing.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import { requestId } from '../../protocol/public/order.ts';
import type { Handlers } from '../../rpc/server.ts';
import type { ExpectedArrivals } from '../expected-arrivals.ts';
import { guestOf, type Guests } from '../guests/guests.ts';
import type { Migration, MigrationStore } from '../migrations/store.ts';

const FILE = 'closed.json';
const MAX_HOSTS = 4096;

/** `untilMs` is for people; setting the clock neither opens nor closes a host. */
const closing = z.object({ host: hostName, request: requestId, untilMs: z.number().int() });
const closingFile = z.object({ version: z.literal(1), closed: z.array(closing).max(MAX_HOSTS) });

interface Closing {
  readonly request: string;
  readonly endMs: number;
  readonly untilMs: number;
}

/**
 * Hosts that a request of the fleet empties and that admit no guests meanwhile. The controller repeats the call, so a
 * host opens by itself if the controller is gone. A restart starts the full time again.
 */
export class Closings {
  readonly #file: string;
  readonly #clock: Pick<Clock, 'wallMs' | 'monotonicMs'>;
  readonly #closed = new Map<string, Closing>();

  constructor(
    { stateDir }: Pick<AgentConfig, 'stateDir'>,
    clock: Pick<Clock, 'wallMs' | 'monotonicMs'>,
  ) {
    this.#file = path.join(stateDir, FILE);
    this.#clock = clock;
    for (const { host, request } of readClosed(this.#file))
      this.#closed.set(host, this.#closing(request, MAX_CLOSED_MS));
  }

  requestFor(host: string): string | undefined {
    const found = this.#closed.get(host);
    if (found === undefined || !this.#isOver(found)) return found?.request;
    this.#closed.delete(host);
    this.#write();
    return undefined;
  }

  /** Records the closing durably and returns its end, ms since 1970. */
  close(host: string, request: string, forMs: number): number {
    const added = this.#closing(request, Math.min(forMs, MAX_CLOSED_MS));
    this.#closed.delete(host);
    this.#closed.set(host, added);
    const [oldest] = this.#closed.keys();
    if (this.#closed.size > MAX_HOSTS && oldest !== undefined) this.#closed.delete(oldest);
    this.#write();
    return added.untilMs;
  }

  open(host: string, request?: string): void {
    const found = this.#closed.get(host);
    if (found === undefined || (request !== undefined && found.request !== request)) return;
    this.#closed.delete(host);
    this.#write();
  }

  #closing(request: string, forMs: number): Closing {
    const untilMs = Math.round(this.#clock.wallMs() + forMs);
    return { request, endMs: this.#clock.monotonicMs() + forMs, untilMs };
  }

  #isOver({ endMs }: Closing): boolean {
    return this.#clock.monotonicMs() >= endMs;
  }

  #write(): void {
    const closed = [...this.#closed].flatMap(([host, each]) =>
      this.#isOver(each) ? [] : [{ host, request: each.request, untilMs: each.untilMs }],
    );
    writeWhole(this.#file, `${JSON.stringify({ version: 1, closed })}\n`);
  }
}

function readClosed(file: string): z.infer<typeof closing>[] {
  try {
    return closingFile.parse(JSON.parse(readFileSync(file, 'utf8'))).closed;
  } catch {
    // The file is missing or damaged; the controller closes the host again within a minute.
    return [];
  }
}

export interface ClosingDependencies {
  readonly config: Pick<AgentConfig, 'name'>;
  readonly guests: Pick<Guests, 'listed' | 'seenNow'>;
  readonly store: Pick<MigrationStore, 'all' | 'progress' | 'runsAt'>;
  readonly closings: Closings;
  readonly expected: Pick<ExpectedArrivals, 'underWay'>;
  readonly log: Log;
}

export type ClosingRoutes = Pick<typeof agentContract, 'occupancy' | 'closeHost' | 'openHost'>;

export function closingHandlers(deps: ClosingDependencies): Handlers<ClosingRoutes> {
  const { closings, log } = deps;
  return {
    occupancy: async ({ params: { host } }) => {
      await mustBeHere(deps, host);
      return occupancyOf(deps, host);
    },
    closeHost: async ({ params: { host }, body: { request, forMs }, caller }) => {
      await mustBeHere(deps, host);
      const isNew = closings.requestFor(host) !== request;
      const untilMs = closings.close(host, request, forMs);
      if (isNew) log.info({ host, request, by: caller.name }, 'host closed to guests');
      return { until: new Date(untilMs).toISOString() };
    },
    openHost: async ({ params: { host }, query: { request }, caller }) => {
      await mustBeHere(deps, host);
      closings.open(host, request);
      log.info({ host, request, by: caller.name }, 'host opened to guests');
      return { ok: true };
    },
  };
}

async function mustBeHere({ config, guests }: ClosingDependencies, host: string): Promise<void> {
  if (host === config.name) return;
  const { hosts } = await guests.listed();
  const names = hosts.map(({ name }) => name);
  if (names.includes(host)) return;
  const near = didYouMean(host, [config.name, ...names]);
  throw godwitError('GODWIT_HOST_UNKNOWN', { host }, near === undefined ? {} : { hint: near });
}

/**
 * Migrations are read before and after the look, so a guest whose migration ends during the look is in one of the
 * three. Rejects if a driver is silent, because its guests may be missing.
 */
async function occupancyOf(
  { config, guests, store, expected }: ClosingDependencies,
  host: string,
): Promise<Occupancy> {
  const own = host === config.name ? expected.underWay() : [];
  const before = [...own, ...underWay(store, host)];
  const found = await guests.seenNow();
  const there = found.filter(({ info }) => info.host === host).map(({ info }) => info.name);
  const all = new Map([...before, ...underWay(store, host)].map((each) => [each.migration, each]));
  return { guests: [...new Set(there)].toSorted(), underWay: [...all.values()] };
}

function underWay(store: ClosingDependencies['store'], host: string): Occupancy['underWay'] {
  return store.all().flatMap((each) => {
    const { id, request } = each;
    const { fromHost: from, toHost: to } = request;
    if ((from !== host && to !== host) || isOver(store, each, host)) return [];
    return [{ guest: guestOf(each), migration: id, from, to }];
  });
}

function isOver(
  store: ClosingDependencies['store'],
  { id, request }: Migration,
  host: string,
): boolean {
  const { phase } = store.progress(id);
  if (phase !== 'held') return isEnd(phase);
  // Held, but the guest runs elsewhere: this host has only the record.
  return request.fromHost === host && store.runsAt(id) === 'destination';
}
