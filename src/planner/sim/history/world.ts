/** Simulated hosts and guests with their events: carries out plans and reports a controller's view. Pure. */
import type { Inventory, Plan, PlannedMove } from '../../inventory.ts';
import { place } from '../../place.ts';
import { wattsOf } from '../../power.ts';
import { seeded } from '../seeded.ts';
import { lieOf, type SceneEvent } from './events.ts';
import type { History } from './history.ts';
import { reportedGuest, reportedHost, type WorldGuest, type WorldHost } from './reported.ts';
import { Transfers, type EndedTransfer, type Transfer } from './transfers.ts';

export interface WorldOptions {
  /** Empty hosts are off and use no power. */
  readonly sleep: boolean;
  /** Equal seeds give equal failures. */
  readonly seed?: number;
  readonly failing?: number;
  readonly bootSeconds?: number;
}

const LOOK_BACK = 30;
const PAST_MOVES = 24;
const BOOT_S = 150;

export class World {
  readonly guests: readonly WorldGuest[];
  readonly hosts: ReadonlyMap<string, WorldHost>;
  now = 0;
  moves = 0;
  failedMoves = 0;
  movedBytes = 0;
  wakes = 0;
  bootJoules = 0;
  restarts = 0;
  readonly #options: WorldOptions;
  readonly #byName: ReadonlyMap<string, WorldGuest>;
  readonly #random: () => number;
  readonly #transfers: Transfers;
  #waiting: Transfer[] = [];
  readonly #events: SceneEvent[];
  /** Future starts and stops of guests, sorted by time. */
  readonly #changes: {
    readonly at: number;
    readonly guest: WorldGuest;
    readonly starts: boolean;
  }[];

  constructor({ hosts, guests, events = [] }: History, options: WorldOptions) {
    this.#options = options;
    this.#random = seeded(options.seed ?? 0);
    this.#transfers = new Transfers(hosts);
    this.#events = [...events];
    this.hosts = new Map(
      hosts.map((host) => [
        host.name,
        { host, failed: false, silent: false, draining: false, bootedAt: 0 },
      ]),
    );
    this.guests = guests.map((recorded) => ({
      recorded,
      host: (recorded.startsAt ?? 0) > 0 ? undefined : recorded.host,
      going: undefined,
      left: [],
      reported: [],
      lie: undefined,
      movingSeconds: 0,
    }));
    this.#byName = new Map(this.guests.map((guest) => [guest.recorded.name, guest]));
    this.#changes = this.guests
      .flatMap((guest) => {
        const { startsAt = 0, stopsAt = Infinity } = guest.recorded;
        return [
          ...(startsAt > 0 ? [{ at: startsAt, guest, starts: true }] : []),
          ...(stopsAt < Infinity ? [{ at: stopsAt, guest, starts: false }] : []),
        ];
      })
      .toSorted((left, right) => left.at - right.at);
  }

  advance(time: number): void {
    for (;;) {
      const boots = this.#waiting.map(({ to }) => this.hosts.get(to)?.bootedAt ?? 0);
      const next = Math.min(
        time,
        this.now + this.#transfers.until(),
        this.#events[0]?.at ?? Infinity,
        this.#changes[0]?.at ?? Infinity,
        ...boots,
      );
      const passed = Math.max(0, next - this.now);
      for (const guest of this.guests) if (guest.going !== undefined) guest.movingSeconds += passed;
      const ended = this.#transfers.advance(passed);
      this.now = Math.max(this.now, next);
      for (const each of ended) this.#end(each);
      this.#beginWaiting();
      while ((this.#events[0]?.at ?? Infinity) <= this.now) this.#befall(this.#events.shift());
      while ((this.#changes[0]?.at ?? Infinity) <= this.now) {
        const change = this.#changes.shift();
        if (change?.starts === true) this.#start(change.guest);
        else if (change !== undefined) this.#stop(change.guest);
      }
      if (this.now >= time && this.#transfers.until() > 0) return;
    }
  }

  sample(tick: number): void {
    for (const { recorded, host, reported, lie } of this.guests) {
      if (host === undefined || !this.#isHeard(host)) continue;
      reported.unshift(lie ?? recorded.load[tick] ?? 0);
      reported.length = Math.min(reported.length, LOOK_BACK);
    }
  }

  placeWaiting(): void {
    for (const guest of this.guests) if (this.isWaiting(guest)) this.#start(guest);
  }

  isWaiting({ host, recorded }: WorldGuest): boolean {
    const { startsAt = 0, stopsAt = Infinity } = recorded;
    return host === undefined && startsAt <= this.now && this.now < stopsAt;
  }

  on(): Set<string> {
    const names = this.#options.sleep ? this.#used() : new Set(this.hosts.keys());
    for (const { host, failed } of this.hosts.values()) if (failed) names.delete(host.name);
    return names;
  }

  carryOut({ moves }: Pick<Plan, 'moves'>): void {
    for (const move of moves) this.#begin(move);
  }

  /** Present and arriving guests, since both use memory there. */
  guestsOn(name: string): WorldGuest[] {
    return this.guests.filter(({ host, going }) => host === name || going?.to === name);
  }

  inventory(): Inventory {
    const used = this.#used();
    const isOn = (name: string): boolean => !this.#options.sleep || used.has(name);
    return {
      hosts: [...this.hosts.values()].map((each) => reportedHost(each, isOn(each.host.name))),
      guests: this.guests.flatMap((each) => reportedGuest(each, this.now)),
    };
  }

  #used(): Set<string> {
    const used = new Set<string>();
    for (const { host, going } of this.guests) {
      if (host !== undefined) used.add(host);
      if (going !== undefined) used.add(going.to);
    }
    return used;
  }

  #isHeard(name: string): boolean {
    const host = this.hosts.get(name);
    return host !== undefined && !host.failed && !host.silent;
  }

  #begin({ guest: name, from, to }: PlannedMove): void {
    const guest = this.#byName.get(name);
    if (guest === undefined || guest.going !== undefined || guest.host !== from) return;
    const { memoryBytes, dirtyBytesPerSecond = 0 } = guest.recorded;
    const fails = this.#random() < (this.#options.failing ?? 0);
    const after = fails ? { failsAfter: this.#random() } : {};
    this.#wake(to);
    guest.going = { to, since: this.now };
    this.moves += 1;
    this.#waiting.push({ guest: name, from, to, memoryBytes, dirtyBytesPerSecond, ...after });
    this.#beginWaiting();
  }

  #beginWaiting(): void {
    const ready = this.#waiting.filter(({ to }) => (this.hosts.get(to)?.bootedAt ?? 0) <= this.now);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((each) => !ready.includes(each));
    for (const each of ready) this.#transfers.begin(each);
  }

  #wake(name: string): void {
    const host = this.hosts.get(name);
    if (host === undefined || !this.#options.sleep || this.#used().has(name)) return;
    const seconds = this.#options.bootSeconds ?? BOOT_S;
    host.bootedAt = this.now + seconds;
    this.wakes += 1;
    this.bootJoules += wattsOf(host.host, 0) * seconds;
  }

  #end({ guest: name, from, to, failed, sentBytes }: EndedTransfer): void {
    const guest = this.#byName.get(name);
    if (guest === undefined) return;
    this.movedBytes += sentBytes;
    const began = guest.going?.since ?? this.now;
    guest.going = undefined;
    if (guest.host === undefined) return;
    if (failed) {
      this.failedMoves += 1;
      return;
    }
    guest.host = to;
    guest.left = [...guest.left, { host: from, at: began }].slice(-PAST_MOVES);
  }

  #abort(isOver: (transfer: Transfer) => boolean): void {
    const waiting = this.#waiting.filter(isOver);
    this.#waiting = this.#waiting.filter((each) => !waiting.includes(each));
    const none = { sentBytes: 0, pausedSeconds: 0, failed: true };
    for (const each of waiting) this.#end({ ...each, ...none });
    for (const each of this.#transfers.abort(isOver)) this.#end(each);
  }

  /**
   * On its recorded host, if possible, else where the planner places it. If hosts sleep, the planner decides first,
   * because the recorded fleet was fully on.
   */
  #start(guest: WorldGuest): void {
    const { name, cores, memoryBytes, host, apart } = guest.recorded;
    const placed = (): string | undefined => {
      const groups = apart === undefined ? {} : { apart: [apart] };
      const found = place(this.inventory(), { name, memoryBytes, cpu: cores, ...groups });
      return 'host' in found ? found.host : undefined;
    };
    const own = (): string | undefined => (this.#takes(host, guest) ? host : undefined);
    const to = this.#options.sleep ? (placed() ?? own()) : (own() ?? placed());
    if (to === undefined) return;
    this.#wake(to);
    guest.host = to;
  }

  /** Tells whether a hypervisor would start it there, whatever the processor load. */
  #takes(name: string, { recorded }: WorldGuest): boolean {
    const host = this.hosts.get(name);
    if (host === undefined || host.failed || host.silent || host.draining) return false;
    const there = this.guestsOn(name).map((each) => each.recorded);
    const held = there.reduce((sum, each) => sum + each.memoryBytes, 0);
    const { apart, memoryBytes } = recorded;
    return (
      held + memoryBytes <= host.host.memoryBytes &&
      (apart === undefined || !there.some((each) => each.apart === apart))
    );
  }

  #stop(guest: WorldGuest): void {
    guest.host = undefined;
    this.#abort((transfer) => transfer.guest === guest.recorded.name);
  }

  #befall(event: SceneEvent | undefined): void {
    if (event === undefined) return;
    if (event.kind === 'restart') this.restarts += 1;
    else if ('guest' in event) {
      const guest = this.#byName.get(event.guest);
      if (guest !== undefined) guest.lie = lieOf(event.kind);
    } else this.#befallHost(event);
  }

  #befallHost({ kind, host: name }: Extract<SceneEvent, { host: string }>): void {
    const host = this.hosts.get(name);
    if (host === undefined) return;
    if (kind === 'fail' || kind === 'back') host.failed = kind === 'fail';
    else if (kind === 'drain' || kind === 'open') host.draining = kind === 'drain';
    else host.silent = kind === 'silent';
    if (kind === 'fail') this.#abort(({ from, to }) => from === name || to === name);
  }
}
