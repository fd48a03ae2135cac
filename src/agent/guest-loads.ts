import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { DiscoveredGuest } from '../drivers/port/inventory.ts';
import { toGodwitError } from '../errors.ts';
import { parsePorts, readCounters, readProc } from '../host/guest-counters.ts';
import type { CountedBy, ReadProc } from '../host/guest-counters.ts';
import { readLoadHistory, writeLoadHistory } from '../host/load-file.ts';
import type { Log } from '../log.ts';
import {
  loadOf,
  ratesBetween,
  withDirtied,
  withinBounds,
  withRates,
} from '../migration/load-history.ts';
import type { GuestCounters, LoadHistory } from '../migration/load-history.ts';
import type { agentContract } from '../protocol/contract.ts';
import type { GuestLoad, LoadHour } from '../protocol/public/guest-load.ts';
import type { Handlers } from '../rpc/server.ts';
import type { Guests } from './guests.ts';

/** Looks may come oftener: counters are read once in this time. */
const EVERY_MS = 55_000;
/** What happened over a longer time belongs to no hour. */
const LONGEST_MS = 300_000;
/** Whoever is killed loses no more than this. */
const WRITTEN_MS = 3_600_000;
/** Read before others get their turn. */
const AT_ONCE = 64;

interface Seen {
  readonly counters: GuestCounters;
  readonly atMs: number;
}

interface Needs {
  readonly clock: Clock;
  readonly log: Log;
}

/** How busy each guest of this host was, hour by hour: read with the looks of the inventory, and kept on its disk. */
export class GuestLoads {
  readonly #stateDir: string;
  readonly #parts: Needs;
  readonly #proc: ReadProc;
  #history: Map<string, readonly LoadHour[]>;
  #seen = new Map<string, Seen>();
  #now = new Map<string, GuestLoad['now']>();
  /** A guest that moves, or that was not asked, is counted where it was seen last. */
  #counted = new Map<string, CountedBy>();
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

  /** The inventory has looked. Never throws. */
  looked(found: readonly DiscoveredGuest[]): void {
    const { clock, log } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#readMs < EVERY_MS) return;
    this.#readMs = nowMs;
    this.#reading = this.#take(found).catch((error: unknown) =>
      log.warn({ error: toGodwitError(error) }, 'how busy guests are was not read'),
    );
  }

  of(guest: string): GuestLoad {
    return loadOf(this.#history.get(guest) ?? [], this.#now.get(guest));
  }

  /** Somebody has measured what it writes to its memory, bytes/s. */
  dirtied(guest: string, bytesPerS: number): void {
    const hours = this.#history.get(guest);
    if (hours === undefined) return;
    this.#history.set(guest, withDirtied(hours, bytesPerS, this.#parts.clock.wallMs()));
    this.#isChanged = true;
  }

  /** Once a reading that goes on is over. */
  async read(): Promise<void> {
    await this.#reading;
  }

  /** What is known is on the disk when this resolves, as far as the disk takes it. */
  async close(): Promise<void> {
    await this.read();
    this.#write();
  }

  async #take(found: readonly DiscoveredGuest[]): Promise<void> {
    const { clock } = this.#parts;
    const links = parsePorts(this.#proc('net/dev'));
    const counted = new Map<string, CountedBy>();
    const seen = new Map<string, Seen>();
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

  /** What it used since it was seen last; undefined where that is not known. */
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
        'how busy guests were cannot be read: it begins anew',
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
      // A disk may have room again in an hour.
      log.warn({ error: toGodwitError(error) }, 'how busy guests were could not be written');
    }
  }
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
