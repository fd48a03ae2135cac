import fc from 'fast-check';
import { HostEvents } from '../../../src/agent/host/host-events.ts';
import type { HostNews } from '../../../src/protocol/public/hosts/host-event.ts';
import type { GuestInfo } from '../../../src/protocol/public/hosts/host.ts';

/** Guests that move round some hosts, and the events that the agents of these hosts make of it. */

export const HOSTS = ['a', 'b', 'c'] as const;
export const GUESTS = ['g1', 'g2'] as const;
type Host = (typeof HOSTS)[number];
type Guest = (typeof GUESTS)[number];

export interface Move {
  readonly guest: Guest;
  readonly to: Host;
  readonly fails: boolean;
  /** Looks of the agents that fall into the move; the last ones always follow it. */
  readonly looks: readonly boolean[];
}

export const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.record({
    guest: fc.constantFrom(...GUESTS),
    to: fc.constantFrom(...HOSTS),
    fails: fc.boolean(),
    looks: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
  }),
  { minLength: 1, maxLength: 6, size: 'max' },
);

/** What one look of an agent adds to its stream, and all that the host has from then on. */
export interface Look {
  readonly host: Host;
  readonly news: readonly HostNews[];
  readonly guests: readonly GuestInfo[];
  /** Guests that left and are in no list of the host any more. */
  readonly left: readonly GuestInfo[];
}

class Recorder extends HostEvents {
  readonly news: HostNews[] = [];
  override add(news: HostNews): void {
    this.news.push(news);
  }
}

const BASE = { driver: 'qemu', memoryBytes: 1, nics: [], devices: [], unmovable: [] };
const uuidOf = (guest: Guest): string => `uuid-of-${guest}`;

class World {
  readonly looks: Look[] = [];
  readonly homes: Record<Guest, Host> = { g1: 'a', g2: 'b' };
  readonly #dated: boolean;
  readonly #epochs: Record<Guest, number> = { g1: 0, g2: 0 };
  readonly #reports = new Map<Host, Map<Guest, GuestInfo>>(HOSTS.map((each) => [each, new Map()]));
  readonly #seen = new Map<Host, GuestInfo[]>(HOSTS.map((each) => [each, []]));
  readonly #left = new Map<Host, Map<Guest, GuestInfo>>(HOSTS.map((each) => [each, new Map()]));

  constructor(dated: boolean) {
    this.#dated = dated;
    for (const guest of GUESTS)
      this.#put(this.homes[guest], guest, this.#running(guest, this.homes[guest]));
    for (const host of HOSTS) this.#look(host);
  }

  move({ guest, to, fails, looks }: Move, nth: number): void {
    const from = this.homes[guest];
    if (from === to) return;
    const epoch = 1000 + nth;
    const dated = this.#dated ? { epoch } : {};
    const migration = `m-${nth}`.padEnd(12, '0');
    const moving = (runsAt: 'source' | 'unknown' | 'destination') => ({
      migration,
      moving: { from, to, runsAt, ...dated },
    });
    const source = this.#running(guest, from);
    const [atStart, asCopy, atSwitch, ...atEnd] = looks;
    this.#put(from, guest, { ...source, state: 'migrating', ...moving('source') });
    if (atStart === true) this.#look(from);
    const { uuid: _uuid, epoch: _epoch, ...copy } = source;
    this.#put(to, guest, { ...copy, host: to, state: 'incoming', ...moving('source') });
    if (asCopy === true) this.#look(to);
    if (fails) {
      this.#drop(to, guest);
      this.#put(from, guest, source);
    } else {
      this.#put(from, guest, { ...source, state: 'paused', ...moving('unknown') });
      if (atSwitch === true) this.#look(from);
      this.#epochs[guest] = epoch;
      this.homes[guest] = to;
      this.#left.get(to)?.delete(guest);
      const arrived = this.#running(guest, to);
      this.#put(to, guest, { ...arrived, ...moving('destination') });
      if (atEnd[0] === true || !this.#dated) this.#look(to);
      this.#put(from, guest, { ...source, state: 'paused', ...moving('destination') });
      if (atEnd[1] === true) this.#look(from);
      this.#drop(from, guest);
      const left: GuestInfo = { ...source, state: 'unknown', ...moving('destination') };
      this.#left.get(from)?.set(guest, left);
      if (atEnd[2] === true) this.#look(from);
      this.#put(to, guest, arrived);
    }
    this.#look(to);
    this.#look(from);
  }

  #running(guest: Guest, host: Host): GuestInfo {
    const epoch = this.#epochs[guest];
    const dated = this.#dated && epoch > 0 ? { epoch } : {};
    return { ...BASE, name: guest, host, uuid: uuidOf(guest), state: 'running', ...dated };
  }

  #put(host: Host, guest: Guest, report: GuestInfo): void {
    this.#reports.get(host)?.set(guest, report);
  }

  #drop(host: Host, guest: Guest): void {
    this.#reports.get(host)?.delete(guest);
  }

  #look(host: Host): void {
    const guests = [...(this.#reports.get(host)?.values() ?? [])];
    const left = this.#dated
      ? (this.#left.get(host) ?? new Map<Guest, GuestInfo>())
      : new Map<Guest, GuestInfo>();
    const recorder = new Recorder();
    recorder.compare(this.#seen.get(host) ?? [], guests, (name) => left.get(name as Guest));
    this.#seen.set(host, guests);
    const there = new Set(
      guests.filter(({ state }) => state !== 'incoming').map(({ name }) => name),
    );
    const gone = [...left.values()].filter(({ name }) => !there.has(name));
    this.looks.push({ host, news: recorder.news, guests, left: gone });
  }
}

/** The looks of all agents, in the order of what truly happened. `dated`: the agents report epochs and departures. */
export function looksOf(all: readonly Move[], dated: boolean): Look[] {
  const world = new World(dated);
  for (const [nth, each] of all.entries()) world.move(each, nth);
  return world.looks;
}
