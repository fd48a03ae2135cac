import type { FleetLook, HostLook } from '../inventory/guest-looks.ts';

/** Looks that a plan uses; the planner's policies were tuned on as many. */
const KEPT = 30;

/** Maximum age of data, in looks. */
export const STALE_LOOKS = 3;

export interface SeenMove {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  /** Time from the start of the last look at the first host to the end of the first look at the other, ms. */
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface HostPast {
  /** Newest first. */
  readonly looks: {
    readonly atMs: number;
    readonly look: Omit<HostLook, 'guests' | 'aside'>;
    readonly guestCores: number;
  }[];
}

interface GuestPast {
  /** Cores used, newest first, and the looks. */
  readonly used: number[];
  readonly times: number[];
  host: string;
  atMs: number;
}

/** Gathered look by look: whole looks of a large fleet are not kept. */
export class Loads {
  readonly lookMs: number;
  readonly #guests = new Map<string, GuestPast>();
  readonly #hosts = new Map<string, HostPast>();
  readonly #aside = new Map<string, { readonly cores: number; readonly atMs: number }>();
  readonly moves: SeenMove[] = [];
  newestMs = 0;

  constructor(lookMs: number) {
    this.lookMs = lookMs;
  }

  /** Call in order, oldest first. */
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

  /** Cores used at the last looks, newest first; empty without a recent report. */
  guest(name: string): readonly number[] {
    const past = this.#guests.get(name);
    return past === undefined || this.#isStale(past.times[0] ?? 0) ? [] : past.used;
  }

  nonsense(guest: string): number | undefined {
    const found = this.#aside.get(guest);
    return found === undefined || this.#isStale(found.atMs) ? undefined : found.cores;
  }

  guestAt(name: string, atMs: number): number | undefined {
    const past = this.#guests.get(name);
    return past?.used[past.times.indexOf(atMs)];
  }

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

  /** Two hosts report a guest that moves within one look; both uses count. */
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
    if (past === undefined || home === undefined || homes.length > 1) return;
    if (past.host !== '' && past.host !== home) {
      const untilMs = atMs + this.lookMs;
      this.moves.push({ guest, from: past.host, to: home, fromMs: past.atMs, untilMs });
    }
    past.host = home;
    past.atMs = atMs;
  }
}
