import type { GuestInfo } from '../../protocol/public/host.ts';
import { boundedGuest, type BoundedGuest } from './bounded-guest.ts';
import { markOf } from './pending.ts';

/** The row of a guest that left stays so long, if no other host reports the guest. */
export const HELD_MS = 60_000;
/** Of one host: far more than leave it within that time. */
const MAX_HELD = 256;
const MAX_ARRIVED = 1024;

export interface Held extends BoundedGuest {
  readonly mark: number;
  /** Wall clock. */
  readonly untilMs: number;
}

/** Guests that left a host, by their keys there, until another host reports them. */
export class HeldGuests {
  readonly #held = new Map<string, Held>();
  /** Migrations whose guests have been reported by their new hosts, the newest last. */
  readonly #arrived = new Set<string>();

  get(key: string): Held | undefined {
    return this.#held.get(key);
  }

  entries(): [string, Held][] {
    return [...this.#held];
  }

  /** The guest is here again. */
  drop(key: string): void {
    this.#held.delete(key);
  }

  /** Holds nothing that has been reported by its new host. */
  hold(key: string, left: GuestInfo, nowMs: number): void {
    const { migration = '' } = left;
    const before = this.#held.get(key);
    if (this.#arrived.has(migration) || before?.guest.migration === migration) return;
    if (before === undefined && this.#held.size >= MAX_HELD) return;
    const bounded = boundedGuest(left);
    this.#held.set(key, { ...bounded, mark: markOf(bounded.text), untilMs: nowMs + HELD_MS });
  }

  /** Another host reports the guest, or was waited for long enough. */
  release(key: string): void {
    const { guest } = this.#held.get(key) ?? {};
    if (!this.#held.delete(key) || guest?.migration === undefined) return;
    this.#arrived.add(guest.migration);
    const [oldest] = this.#arrived;
    if (this.#arrived.size > MAX_ARRIVED && oldest !== undefined) this.#arrived.delete(oldest);
  }
}
