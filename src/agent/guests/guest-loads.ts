import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../clock.ts';
import type { DiscoveredGuest } from '../../port/inventory.ts';
import { toGodwitError } from '../../errors.ts';
import {
  parsePorts,
  readCounters,
  readProc,
  type CountedBy,
  type ReadProc,
} from '../../host/machine/guest-counters.ts';
import { readLoadHistory, writeLoadHistory } from '../../host/journal/load-file.ts';
import type { Log } from '../../log.ts';
import {
  loadOf,
  ratesBetween,
  withDirtied,
  withinBounds,
  withRates,
  withTold,
  type GuestCounters,
  type LoadHistory,
} from '../../migration/load-history.ts';
import type { Admission } from '../../protocol/peer/migration.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { GuestLoad, LoadHour } from '../../protocol/public/hosts/guest-load.ts';
import type { Handlers } from '../../rpc/server.ts';
import type { Arrival } from './guest-labels.ts';
import type { Guests } from './guests.ts';
import type { Peers } from '../peers.ts';

/** Minimum time between two reads of the counters. */
const EVERY_MS = 55_000;
/** A longer interval cannot be assigned to an hour. */
const LONGEST_MS = 300_000;
/** Maximum loss if the agent is killed. */
const WRITTEN_MS = 3_600_000;
/** A week of hours is about 40 KiB. */
const SOURCE_MS = 3000;
const MAX_BYTES = 256 * 1024;
const AT_ONCE = 64;

interface CounterSample {
  readonly counters: GuestCounters;
  readonly atMs: number;
}

interface Needs {
  readonly clock: Clock;
  readonly log: Log;
  readonly arrival?: (migration: string) => Arrival;
}

/** Load history of an arriving guest as its source keeps it; absent until the source has answered. */
interface ExpectedLoad {
  readonly guest: string;
  readonly hours?: readonly LoadHour[];
}

/** Load of each guest of this host by hour. It is read with each look of the inventory and kept on disk. */
export class GuestLoads {
  readonly #stateDir: string;
  readonly #parts: Needs;
  readonly #proc: ReadProc;
  #history: Map<string, readonly LoadHour[]>;
  #seen = new Map<string, CounterSample>();
  #now = new Map<string, GuestLoad['now']>();
  #counted = new Map<string, CountedBy>();
  readonly #expected = new Map<string, ExpectedLoad>();
  #readMs = -Infinity;
  #writtenMs: number;
  #isChanged = false;
  #reading: Promise<void> = Promise.resolve();

  constructor(stateDir: string, parts: Needs, read: ReadProc = readProc) {
    this.#stateDir = stateDir;
    this.#parts = parts;
    this.#proc = read;
    this.#history = new Map(this.#kept());
    this.#writtenMs = parts.clock.monotonicMs();
  }

  /** Called after each look of the inventory. Never throws. */
  looked(found: readonly DiscoveredGuest[]): void {
    this.#settle();
    const { clock, log } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#readMs < EVERY_MS) return;
    this.#readMs = nowMs;
    this.#reading = this.#take(found).catch((error: unknown) =>
      log.warn({ error: toGodwitError(error) }, 'load of guests not read'),
    );
  }

  of(guest: string): GuestLoad {
    this.#settle();
    return loadOf(this.#history.get(guest) ?? [], this.#now.get(guest));
  }

  dirtied(guest: string, bytesPerS: number): void {
    const hours = this.#history.get(guest);
    if (hours === undefined) return;
    this.#history.set(guest, withDirtied(hours, bytesPerS, this.#parts.clock.wallMs()));
    this.#isChanged = true;
  }

  isCounted(guest: string): boolean {
    return this.#now.has(guest);
  }

  /** Requests the load history of a guest that may come here. Never rejects: without it the history starts empty. */
  async expect(migration: string, guest: string, ask: () => Promise<GuestLoad>): Promise<void> {
    if (this.#expected.has(migration)) return;
    this.#expected.set(migration, { guest });
    try {
      const { hours } = await ask();
      this.#expected.set(migration, { guest, hours });
    } catch (error) {
      this.#expected.delete(migration);
      const { log } = this.#parts;
      log.info(
        { guest, error: toGodwitError(error) },
        'load of the guest on its earlier host is unknown',
      );
    }
  }

  async read(): Promise<void> {
    await this.#reading;
  }

  async close(): Promise<void> {
    await this.read();
    this.#settle();
    this.#write();
  }

  #settle(): void {
    const { clock, arrival = () => 'stayed-away' as const } = this.#parts;
    for (const [migration, { guest, hours }] of this.#expected) {
      const became = hours === undefined ? 'open' : arrival(migration);
      if (became === 'open') continue;
      this.#expected.delete(migration);
      if (became === 'stayed-away' || hours === undefined) continue;
      const own = this.#history.get(guest) ?? [];
      const all = withTold(own, hours, clock.wallMs());
      if (all.length === own.length) continue;
      this.#history.set(guest, all);
      this.#isChanged = true;
      this.#writtenMs = -Infinity;
    }
  }

  async #take(found: readonly DiscoveredGuest[]): Promise<void> {
    const { clock } = this.#parts;
    const links = parsePorts(this.#proc('net/dev'));
    const counted = new Map<string, CountedBy>();
    const seen = new Map<string, CounterSample>();
    const now = new Map<string, GuestLoad['now']>();
    for (const [at, guest] of found.entries()) {
      if (at % AT_ONCE === AT_ONCE - 1) await setImmediate();
      const { name } = guest.info;
      const by = this.#countedBy(guest);
      const counters = by === undefined ? undefined : readCounters(by, links, this.#proc);
      if (by === undefined || counters === undefined) continue;
      counted.set(name, by);
      seen.set(name, { counters, atMs: clock.monotonicMs() });
      const rates = this.#add(name, counters);
      if (rates !== undefined) now.set(name, rates);
    }
    [this.#counted, this.#seen, this.#now] = [counted, seen, now];
    if (clock.monotonicMs() - this.#writtenMs >= WRITTEN_MS) this.#write();
  }

  #add(guest: string, counters: GuestCounters): GuestLoad['now'] {
    const { clock } = this.#parts;
    const before = this.#seen.get(guest);
    if (before === undefined) return undefined;
    const overMs = Math.round(clock.monotonicMs() - before.atMs);
    const rates = ratesBetween(before.counters, counters, overMs);
    if (rates === undefined || overMs > LONGEST_MS) return undefined;
    const atMs = clock.wallMs();
    this.#history.set(guest, withRates(this.#history.get(guest) ?? [], rates, { atMs, overMs }));
    this.#isChanged = true;
    return { ...rates, at: new Date(atMs).toISOString(), overMs };
  }

  #countedBy({ info: { name, pid }, countedBy }: DiscoveredGuest): CountedBy | undefined {
    if (countedBy === undefined) return undefined;
    const before = this.#counted.get(name);
    const knowsPorts = countedBy.ports.length > 0 || before?.pid !== pid;
    return knowsPorts ? countedBy : before;
  }

  #kept(): LoadHistory {
    const { log } = this.#parts;
    try {
      return readLoadHistory(this.#stateDir);
    } catch (error) {
      log.warn(
        { error: toGodwitError(error) },
        'recorded load of guests is unreadable: recording starts again',
      );
      return new Map();
    }
  }

  #write(): void {
    const { clock, log } = this.#parts;
    this.#writtenMs = clock.monotonicMs();
    if (!this.#isChanged) return;
    this.#history = withinBounds(this.#history, clock.wallMs());
    try {
      writeLoadHistory(this.#stateDir, this.#history);
      this.#isChanged = false;
    } catch (error) {
      log.warn({ error: toGodwitError(error) }, 'load of guests could not be written');
    }
  }
}

export function loadAtSource(
  peers: Pick<Peers, 'probing'>,
  { from, guest }: Pick<Admission, 'from' | 'guest'>,
): Promise<GuestLoad> {
  const options = { deadlineMs: SOURCE_MS, allowance: { bytes: MAX_BYTES } };
  return peers.probing(from).guestLoad({ params: { guest } }, options);
}

export interface LoadHandlerDependencies {
  readonly guests: Guests;
  readonly guestLoads: GuestLoads;
}

export function loadHandler({
  guests,
  guestLoads,
}: LoadHandlerDependencies): Handlers<Pick<typeof agentContract, 'guestLoad'>> {
  return {
    guestLoad: async ({ params: { guest } }) => {
      await guests.shown(guest);
      return guestLoads.of(guest);
    },
  };
}
