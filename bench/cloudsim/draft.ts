import { wattsAt } from './machines.ts';
import { HISTORY, loadOf, type WorldGuest, type WorldHost } from './world.ts';

/**
 * A host as it would be after the moves that a decision has gathered so far. Decisions are made when nothing moves,
 * so all guests count in full.
 */
export class Draft {
  readonly host: WorldHost;
  readonly memoryMb: number;
  guests: WorldGuest[] = [];
  /** Memory of its guests and of those that will have left but hold it until then, MB. */
  heldMb = 0;
  /** MIPS: asked for, given, and not yet given. */
  asked = 0;
  given = 0;
  left: number;
  /** The power of the host's last look, W. */
  readonly wattsNow: number;
  #history: Float64Array | undefined;

  constructor(host: WorldHost, memoryMb: number) {
    this.host = host;
    this.memoryMb = memoryMb;
    this.left = host.capacity;
    this.wattsNow = wattsAt(host.type, loadOf(host.usedMips, host));
    for (const guest of host.guests) this.add(guest);
  }

  add(guest: WorldGuest): void {
    this.guests.push(guest);
    this.heldMb += guest.memoryMb;
    this.#count(guest);
    if (this.#history !== undefined) addHistory(this.#history, guest, this.host.capacity);
  }

  /** Takes it away; its memory stays in use until its move ends, when it lived here. */
  remove(guest: WorldGuest): void {
    if (guest.host !== this.host) this.heldMb -= guest.memoryMb;
    this.guests = this.guests.filter((other) => other !== guest);
    this.asked = 0;
    this.given = 0;
    this.left = this.host.capacity;
    this.#history = undefined;
    for (const other of this.guests) this.#count(other);
  }

  /** The host's past loads if its guests of now had been there, 0 to 1, the newest first. */
  history(): Float64Array {
    if (this.#history === undefined) {
      this.#history = new Float64Array(HISTORY);
      for (const guest of this.guests) addHistory(this.#history, guest, this.host.capacity);
    }
    return this.#history;
  }

  /** The same with one more guest, into `sum`. */
  historyWith(guest: WorldGuest, sum: Float64Array): Float64Array {
    sum.set(this.history());
    addHistory(sum, guest, this.host.capacity);
    return sum;
  }

  #count(guest: WorldGuest): void {
    const capped = Math.min(guest.requested, this.host.type.coreMips);
    this.asked += guest.requested;
    if (this.left >= capped) {
      this.left -= capped;
      this.given += capped;
    } else {
      this.left = 0;
      this.given = this.host.capacity;
    }
  }
}

function addHistory(sum: Float64Array, guest: WorldGuest, capacity: number): void {
  for (let age = 0; age < guest.history.length; age += 1) {
    sum[age] = (sum[age] ?? 0) + ((guest.history[age] ?? 0) * guest.mips) / capacity;
  }
}
