import type { TestContext } from 'node:test';
import { systemClock, type Clock } from '../../../src/clock.ts';
import {
  RecoverWatch,
  type RecoverWatchDependencies,
} from '../../../src/controller/recover/watch.ts';
import { shardOf, SHARDS } from '../../../src/controller/inventory/shards.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import type { GuestRow, HostRow } from '../../../src/controller/store/tables.ts';
import { silentLog } from '../../../src/log.ts';
import type { FleetRequest } from '../../../src/protocol/controller/fleet-request.ts';

/** The watch of a controller on a real database; the agents are the test's. */

const hostRow = (name: string): HostRow => ({
  name,
  address: `${name}:7000`,
  site: null,
  shard: shardOf(name),
  state: 'up',
  since: 0,
  reason: null,
  version: null,
  cores: 8,
  memory_bytes: 2 ** 33,
  memory_available_bytes: null,
  guests: 1,
  info: null,
  managed: null,
  excess: null,
  excess_since: null,
  changed_at: 0,
  epoch: 1,
});

export function guestRow(host: string, name: string, recover = 'true'): GuestRow {
  const info = {
    name,
    host,
    driver: 'fake',
    state: 'running',
    nics: [],
    devices: [],
    unmovable: [],
    labels: { 'godwit/recover': recover },
  };
  return {
    host,
    name,
    uuid: '',
    state: 'running',
    memory_bytes: 1,
    vcpus: 1,
    driver: 'fake',
    info: JSON.stringify(info),
    changed_at: 0,
    epoch: 1,
  };
}

export const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_none, at) => `${prefix}${String(at).padStart(5, '0')}`);

/** Values of one statement are bounded. */
const ROWS_AT_ONCE = 500;

export async function insert<T>(
  rows: readonly T[],
  write: (some: readonly T[]) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE)
    await write(rows.slice(at, at + ROWS_AT_ONCE));
}

export const insertGuests = (store: Store, rows: readonly GuestRow[]): Promise<void> =>
  insert(rows, (some) => store.db.insertInto('guests').values(some).execute());

/** `guests`: labelled ones, by host. */
export async function storeWith(
  t: TestContext,
  hosts: readonly string[],
  guests: Readonly<Record<string, readonly string[]>>,
): Promise<Store> {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  await store.db.insertInto('hosts').values(hosts.map(hostRow)).execute();
  const rows = Object.entries(guests).flatMap(([host, all]) =>
    all.map((name) => guestRow(host, name)),
  );
  await insertGuests(store, rows);
  return store;
}

export interface Ask {
  readonly at: string;
  readonly guest: string;
  readonly to: string;
}

/** An agent's answer to an ask: undefined, or it throws. */
export type Answer = (ask: Ask, signal: AbortSignal) => Promise<void>;

const keeps: Answer = async () => {};

export function watchOf(
  store: Store,
  more: Partial<RecoverWatchDependencies> & { readonly answer?: Answer } = {},
) {
  const asked: Ask[] = [];
  const requests: FleetRequest[] = [];
  const watch = new RecoverWatch({
    store,
    clock: systemClock,
    log: silentLog,
    policy: { policy: 'off', silentMs: 15_000 },
    held: () => new Map(Array.from({ length: SHARDS }, (_none, shard) => [shard, 1])),
    agentAt: (at) => ({
      putStandby: async ({ params: { guest }, body: { to } }, { signal } = {}) => {
        const ask = { at, guest, to };
        asked.push(ask);
        await (more.answer ?? keeps)(ask, signal ?? new AbortController().signal);
        return { guest, to, checks: [] };
      },
    }),
    add: async (request) => {
      if (!requests.some(({ id }) => id === request.id)) requests.push(request);
    },
    ...more,
  });
  return { watch, asked, requests };
}

export async function looks(watch: RecoverWatch, times: number): Promise<void> {
  for (let each = 0; each < times; each += 1) {
    await watch.look();
    await watch.settled();
  }
}

/** Time goes on when the test says so. */
export class SetClock implements Clock {
  #nowMs = 0;
  readonly #waiting = new Set<{ readonly atMs: number; readonly wake: () => void }>();

  wallMs(): number {
    return 1_800_000_000_000 + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const entry = { atMs: this.#nowMs + ms, wake: resolve };
    this.#waiting.add(entry);
    signal?.addEventListener('abort', () => {
      this.#waiting.delete(entry);
      reject(signal.reason as Error);
    });
    return promise;
  }

  /** Number of waits that are under way. */
  get waits(): number {
    return this.#waiting.size;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    for (const entry of this.#waiting) {
      if (entry.atMs > this.#nowMs) continue;
      this.#waiting.delete(entry);
      entry.wake();
    }
  }
}
