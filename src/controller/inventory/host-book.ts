import { MAX_GUESTS } from '../../agent/guests/peer-guests.ts';
import { godwitError } from '../../errors.ts';
import type { HostState } from '../../protocol/controller/fleet.ts';
import type { FleetNews } from '../../protocol/controller/events.ts';
import { defined } from '../../protocol/defined.ts';
import type { HostEvent } from '../../protocol/public/hosts/host-event.ts';
import type { GuestInfo, HostInfo } from '../../protocol/public/hosts/host.ts';
import type { ManagedHost } from '../../protocol/public/hosts/managed-host.ts';
import type { Progress } from '../../protocol/public/migration.ts';
import { MAX_COVERED } from '../store/standbys.ts';
import type { NewHost } from './write-queue.ts';
import type { FollowerListener } from './follower.ts';
import { managedText } from './managed-facts.ts';
import { boundedGuest, type BoundedGuest } from './bounded-guest.ts';
import {
  guestKey,
  guestRowOf,
  keysOfName,
  markOf,
  MAX_PENDING_BYTES,
  nameIn,
  type Pending,
  uuidIn,
} from './pending.ts';
import { HostSamples } from './samples.ts';
import { formatBytes } from '../../protocol/quantity.ts';

export interface Changes {
  /** Queues a change. False if too much of this host waits: its lists must be read again and replace it all. */
  readonly write: (change: Partial<Pending>) => boolean;
  readonly publish: (news: FleetNews) => void;
  readonly reportHost: () => void;
  readonly followed: () => void;
  readonly moved: (progress: Progress) => void;
  readonly nowMs: () => number;
}

/** JSON of all guests of one host, bytes. Lists are shorter on the wire. */
const MAX_GUESTS_BYTES = 24 * 1024 * 1024;
/** Guests of one name, such as containers of several managers; lookups by name read all. */
const MAX_NAMESAKES = 64;
export type Excess = 'events' | 'migrations' | 'standbys';
const EXCESS: Readonly<Record<Excess, string>> = {
  events:
    'its agent sends more events than a controller reads of one host: they are read more slowly, and what is shown is late',
  migrations:
    'its agent reports more of migrations than a controller reads of one host: the history has the rest later',
  standbys: `more than ${MAX_COVERED} of its guests have the label godwit/recover: only the first by name are kept for a recovery`,
};

/** Available memory is written again after a change by this part of all memory. */
const MEMORY_STEP = 1 / 100;

export class HostBook implements FollowerListener {
  readonly samples: HostSamples;
  readonly #changes: Changes;
  readonly #marks = new Map<string, Mark>();
  #bytes = 0;
  readonly #excess = new Set<Excess>();
  readonly #held = new HeldGuests();
  readonly #sizes = new Map<string, number>();
  #row: NewHost;

  /** `known`: the database's row. `samples`: from an earlier follower in this process. */
  constructor(known: NewHost, changes: Changes, samples = new HostSamples()) {
    this.#row = known;
    this.samples = samples;
    this.#changes = changes;
  }

  get row(): NewHost {
    return this.#row;
  }

  moved(address: string): void {
    if (address !== this.#row.address) this.#set({ address });
  }

  all(info: HostInfo, guests: readonly GuestInfo[], left: readonly GuestInfo[] = []): void {
    this.#guests(guests, left);
    this.#heardOf({ ...this.#factsOf(info), guests: this.#count() });
    this.#changes.followed();
  }

  managed(manager: string, host: ManagedHost, guests?: readonly GuestInfo[]): void {
    if (guests !== undefined) this.#guests(guests);
    const facts = { ...factsOfManaged(manager, host), guests: this.#count() };
    if (host.state === 'up') this.#heardOf(facts);
    else {
      this.#set(facts);
      this.lost('silent', host.reason ?? 'its manager does not reach it', undefined);
    }
  }

  leave(key: string): void {
    if (!this.#marks.has(key)) return;
    this.#gone(key);
    this.#changes.write({ gone: new Map([[key, nameIn(key)]]) });
    this.#set({ guests: this.#count() });
  }

  /** Last reports of guests that left and were not found elsewhere. Expired ones are removed. */
  held(): GuestInfo[] {
    const nowMs = this.#changes.nowMs();
    for (const [, { guest, untilMs }] of this.#held.entries())
      if (untilMs <= nowMs) this.release(guest);
    return this.#held.entries().map(([, { guest }]) => guest);
  }

  release(left: GuestInfo): void {
    const key = guestKey(left);
    const isShown = this.#isHeld(key);
    this.#held.release(key);
    if (isShown) this.leave(key);
  }

  #hold(left: GuestInfo): void {
    const key = this.#keyOf(left);
    if (left.host === this.#row.name)
      this.#held.hold(key, { ...left, ...uuidIn(key) }, this.#changes.nowMs());
  }

  #isHeld(key: string): boolean {
    const held = this.#held.get(key);
    return held !== undefined && this.#marks.get(key)?.mark === held.mark;
  }

  #count(): number {
    return this.#marks.size - this.#held.entries().filter(([key]) => this.#isHeld(key)).length;
  }

  /** A report made after the guest left may lack its UUID. */
  #keyOf(left: GuestInfo): string {
    if (left.uuid !== undefined) return guestKey(left);
    const keys = keysOfName(this.#marks.keys(), left.name);
    return keys.length === 1 && keys[0] !== undefined ? keys[0] : guestKey(left);
  }

  #withHeld(own: readonly BoundedGuest[], left: readonly GuestInfo[]): BoundedGuest[] {
    for (const each of left) this.#hold(each);
    const there = new Map(own.map((each) => [guestKey(each.guest), each]));
    for (const [key, { guest }] of there) if (guest.state !== 'incoming') this.#held.drop(key);
    return [...new Map([...this.#held.entries(), ...there]).values()];
  }

  #guests(guests: readonly GuestInfo[], left: readonly GuestInfo[] = []): void {
    const { name } = this.#row;
    const listed = guests.filter(({ host }) => host === name).map(boundedGuest);
    const own = this.#withHeld(listed, left);
    if (own.reduce((sum, { bytes }) => sum + bytes, 0) > MAX_GUESTS_BYTES)
      throw tooMuch(name, `guests of at most ${MAX_GUESTS_BYTES} bytes`);
    const names = Map.groupBy(own, ({ guest }) => guest.name).values();
    if (names.some(({ length }) => length > MAX_NAMESAKES))
      throw tooMuch(name, `at most ${MAX_NAMESAKES} guests of one name`);
    const before = new Set(this.#marks.keys());
    for (const each of own) {
      const key = guestKey(each.guest);
      if (this.#mark(key, each)) this.#changes.publish({ type: 'guest', guest: each.guest });
      before.delete(key);
    }
    for (const key of before) this.#gone(key);
    this.#changes.write({ replace: own.map(({ guest, text }) => guestRowOf(name, guest, text)) });
  }

  #mark(key: string, { guest, text, bytes }: BoundedGuest): boolean {
    const mark = markOf(text);
    const before = this.#marks.get(key);
    if (before?.mark === mark) return false;
    this.#bytes += bytes - (before?.bytes ?? 0);
    this.#marks.set(key, { mark, bytes });
    this.#sized(guest);
    return true;
  }

  exceeds(isExceeded: boolean, what: Excess = 'events'): void {
    if (isExceeded) this.#excess.add(what);
    else this.#excess.delete(what);
    const [excess = null] = [...this.#excess].map((each) => EXCESS[each]);
    if (excess === this.#row.excess) return;
    this.#set({ excess, excess_since: excess === null ? null : this.#changes.nowMs() });
  }

  info(info: HostInfo): void {
    this.#heardOf(this.#factsOf(info));
  }

  event(event: HostEvent): void {
    switch (event.type) {
      case 'ready':
      case 'lost':
      // Hosts of the fleet report only themselves.
      case 'managed-host':
      case 'managed-host-gone':
      case 'manager':
        return;
      case 'load':
        this.samples.add(this.#changes.nowMs(), event.load, (name) => this.#sizes.get(name));
        this.#memory(event.load.memory.availableBytes);
        return;
      case 'guest':
        this.#guest(event.guest);
        return;
      case 'guest-gone':
        this.#goneBy(event);
        return;
      case 'migration':
        this.#changes.moved(event.migration);
    }
  }

  lost(state: HostState, reason: string, lastMs: number | undefined): void {
    const { state: before, since } = this.#row;
    if (before === state && this.#row.reason === reason) return;
    // An earlier silence keeps its start.
    const heardMs = lastMs ?? this.#changes.nowMs();
    this.#set({ state, reason, since: before === state ? since : heardMs });
  }

  /** The agent sends only the name: all guests of that name go, and the remaining one is reported again. */
  #goneBy({ name, left }: Extract<HostEvent, { type: 'guest-gone' }>): void {
    if (left?.name === name) this.#hold(left);
    const held = new Map(this.#held.entries());
    for (const key of keysOfName(new Set([...this.#marks.keys(), ...held.keys()]), name)) {
      // The row of a departed guest stays until its new host reports it. It returns if a copy of it is removed.
      const last = held.get(key);
      if (last !== undefined) this.#put(key, last);
      else {
        this.#gone(key);
        this.#write({ gone: new Map([[key, nameIn(key)]]) });
      }
    }
    this.#set({ guests: this.#count() });
  }

  #guest(reported: GuestInfo): void {
    const { name } = this.#row;
    if (reported.host !== name) return;
    const each = boundedGuest(reported);
    const key = guestKey(each.guest);
    if (reported.state !== 'incoming') this.#held.drop(key);
    this.#put(key, each);
    if (this.#row.guests !== this.#count()) this.#set({ guests: this.#count() });
  }

  #put(key: string, each: BoundedGuest): void {
    const { name } = this.#row;
    if (!this.#marks.has(key) && this.#marks.size >= MAX_GUESTS)
      throw tooMuch(name, `at most ${MAX_GUESTS} guests`);
    if (
      !this.#marks.has(key) &&
      keysOfName(this.#marks.keys(), each.guest.name).length >= MAX_NAMESAKES
    )
      throw tooMuch(name, `at most ${MAX_NAMESAKES} guests of one name`);
    if (this.#bytes + each.bytes > MAX_GUESTS_BYTES)
      throw tooMuch(name, `guests of at most ${MAX_GUESTS_BYTES} bytes`);
    if (!this.#mark(key, each)) return;
    this.#write({ upserts: new Map([[key, guestRowOf(name, each.guest, each.text)]]) });
    this.#changes.publish({ type: 'guest', guest: each.guest });
  }

  #write(change: Partial<Pending>): void {
    if (this.#changes.write(change)) return;
    const what = `changes of ${this.#row.name} that wait for the database`;
    throw godwitError('GODWIT_TOO_LARGE', { what, limit: formatBytes(MAX_PENDING_BYTES) });
  }

  #sized({ name, vcpus }: GuestInfo): void {
    if (vcpus === undefined) this.#sizes.delete(name);
    else this.#sizes.set(name, vcpus);
  }

  #gone(key: string): void {
    this.#bytes -= this.#marks.get(key)?.bytes ?? 0;
    this.#marks.delete(key);
    const { name, uuid } = nameIn(key);
    this.#sizes.delete(name);
    const host = this.#row.name;
    const known = uuid === '' ? {} : { uuid };
    this.#changes.publish({ type: 'guest-gone', host, name, ...known });
  }

  #memory(availableBytes: number): void {
    const { memory_bytes: all, memory_available_bytes: before } = this.#row;
    if (all === null) return;
    const moved = Math.abs(availableBytes - (before ?? 0));
    if (before !== null && moved < all * MEMORY_STEP) return;
    this.#row = { ...this.#row, memory_available_bytes: availableBytes };
    this.#changes.write({ row: true });
  }

  #factsOf(info: HostInfo): Partial<NewHost> {
    return {
      info: JSON.stringify(info),
      site: info.site ?? null,
      version: info.version,
      cores: info.processor.cores,
      memory_bytes: info.memoryBytes,
      memory_available_bytes: info.memoryAvailableBytes,
    };
  }

  #heardOf(facts: Partial<NewHost>): void {
    const { state, since } = this.#row;
    const nowMs = this.#changes.nowMs();
    this.#set({ ...facts, state: 'up', reason: null, since: state === 'up' ? since : nowMs });
  }

  #set(facts: Partial<NewHost>): void {
    this.#row = { ...this.#row, ...facts };
    this.#changes.write({ row: true });
    this.#changes.reportHost();
  }
}

function factsOfManaged(manager: string, host: ManagedHost): Partial<NewHost> {
  const { realm, closed, maintenanceMode, powerMode, version, cores } = host;
  const { memoryBytes, memoryAvailableBytes } = host;
  return {
    managed: managedText({
      manager,
      realm,
      ...defined({ closed, maintenanceMode, powerMode }),
    }),
    version: version ?? null,
    cores: cores ?? null,
    memory_bytes: memoryBytes ?? null,
    memory_available_bytes: memoryAvailableBytes ?? null,
  };
}

function tooMuch(host: string, expected: string): Error {
  return godwitError('GODWIT_PROTOCOL_INVALID', { peer: host, expected, what: 'more' });
}

interface Mark {
  readonly mark: number;
  readonly bytes: number;
}

/** A departed guest's row stays for this time if no other host reports it. */
export const HELD_MS = 60_000;
const MAX_HELD = 256;
const MAX_ARRIVED = 1024;

interface HeldGuest extends BoundedGuest {
  readonly mark: number;
  readonly untilMs: number;
}

class HeldGuests {
  readonly #held = new Map<string, HeldGuest>();
  /** Migrations whose guests were reported by their new hosts, newest last. */
  readonly #arrived = new Set<string>();

  get(key: string): HeldGuest | undefined {
    return this.#held.get(key);
  }

  entries(): [string, HeldGuest][] {
    return [...this.#held];
  }

  drop(key: string): void {
    this.#held.delete(key);
  }

  /** Ignores guests that their new host has already reported. */
  hold(key: string, left: GuestInfo, nowMs: number): void {
    const { migration = '' } = left;
    const before = this.#held.get(key);
    if (this.#arrived.has(migration) || before?.guest.migration === migration) return;
    if (before === undefined && this.#held.size >= MAX_HELD) return;
    const bounded = boundedGuest(left);
    this.#held.set(key, { ...bounded, mark: markOf(bounded.text), untilMs: nowMs + HELD_MS });
  }

  release(key: string): void {
    const { guest } = this.#held.get(key) ?? {};
    if (!this.#held.delete(key) || guest?.migration === undefined) return;
    this.#arrived.add(guest.migration);
    const [oldest] = this.#arrived;
    if (this.#arrived.size > MAX_ARRIVED && oldest !== undefined) this.#arrived.delete(oldest);
  }
}
