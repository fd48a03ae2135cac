import type { FleetLook, HostLook } from '../inventory/guest-looks.ts';

/** Looks that a plan rests on; the planner's policies were chosen on as many. */
const KEPT = 30;

/** What is older than so many looks says nothing of now. */
export const STALE_LOOKS = 3;

/** A guest that was on one host at a look and on another one at a later one. */
export interface SeenMove {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  /** Between the beginning of the last look at the first host and the end of the first one at the other, ms. */
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface HostPast {
  /** The newest first. */
  readonly looks: {
    readonly atMs: number;
    readonly look: Omit<HostLook, 'guests' | 'aside'>;
    readonly guestCores: number;
  }[];
}

interface GuestPast {
  /** Cores that it used, the newest first, and at which looks. */
  readonly used: number[];
  readonly times: number[];
  host: string;
  atMs: number;
}

/** What the fleet's guests and hosts used lately, read look by look: a large fleet's looks are not kept whole. */
export class Loads {
  /** How long one look is. */
  readonly lookMs: number;
  readonly #guests = new Map<string, GuestPast>();
  readonly #hosts = new Map<string, HostPast>();
  readonly #aside = new Map<string, { readonly cores: number; readonly atMs: number }>();
  readonly moves: SeenMove[] = [];
  newestMs = 0;

  constructor(lookMs: number) {
    this.lookMs = lookMs;
  }

  /** The oldest first. */
  add({ atMs, hosts }: FleetLook): void {
    this.newestMs = atMs;
    const at = new Map<string, string[]>();
    for (const [host, { guests, aside = {}, ...look }] of hosts) {
      for (const [guest, cores] of Object.entries(aside)) this.#aside.set(guest, { cores, atMs });
      const past = this.#hosts.get(host) ?? { looks: [] };
      const guestCores = Object.values(guests).reduce((sum, cores) => sum + cores, 0);
      past.looks.unshift({ atMs, look, guestCores });
      past.looks.length = Math.min(past.looks.length, KEPT);
      this.#hosts.set(host, past);
      for (const [guest, cores] of Object.entries(guests)) {
        const homes = at.get(guest) ?? [];
        homes.push(host);
        at.set(guest, homes);
        this.#addGuest(guest, atMs, cores);
      }
    }
    for (const [guest, homes] of at) this.#moved(guest, homes, atMs);
  }

  /** Cores that it used at the last looks, the newest first; empty where nobody has reported lately. */
  guest(name: string): readonly number[] {
    const past = this.#guests.get(name);
    return past === undefined || this.#isStale(past.times[0] ?? 0) ? [] : past.used;
  }

  /** Cores that it was lately said to use, and cannot have used. */
  nonsense(guest: string): number | undefined {
    const found = this.#aside.get(guest);
    return found === undefined || this.#isStale(found.atMs) ? undefined : found.cores;
  }

  /** What it used at one look; undefined where nobody reported. */
  guestAt(name: string, atMs: number): number | undefined {
    const past = this.#guests.get(name);
    return past?.used[past.times.indexOf(atMs)];
  }

  /** Its newest look, where it has reported lately. */
  newest(host: string): HostPast['looks'][number] | undefined {
    const look = this.host(host)[0];
    return look === undefined || this.#isStale(look.atMs) ? undefined : look;
  }

  #isStale(atMs: number): boolean {
    return atMs < this.newestMs - STALE_LOOKS * this.lookMs;
  }

  host(name: string): HostPast['looks'] {
    return this.#hosts.get(name)?.looks ?? [];
  }

  /** Two hosts report a guest that moves within one look: what it used at both counts. */
  #addGuest(name: string, atMs: number, cores: number): void {
    const past = this.#guests.get(name) ?? { used: [], times: [], host: '', atMs: 0 };
    if (past.times[0] === atMs) past.used[0] = Math.max(past.used[0] ?? 0, cores);
    else {
      past.used.unshift(cores);
      past.times.unshift(atMs);
    }
    past.used.length = Math.min(past.used.length, KEPT);
    past.times.length = past.used.length;
    this.#guests.set(name, past);
  }

  #moved(guest: string, homes: readonly string[], atMs: number): void {
    const past = this.#guests.get(guest);
    const [home] = homes;
    // Within a look in which two hosts report it, it is under way.
    if (past === undefined || home === undefined || homes.length > 1) return;
    if (past.host !== '' && past.host !== home) {
      const untilMs = atMs + this.lookMs;
      this.moves.push({ guest, from: past.host, to: home, fromMs: past.atMs, untilMs });
    }
    past.host = home;
    past.atMs = atMs;
  }
}
