/** What was asked and given, and for how long. Two looks at the same time count once, by the later. */

export interface GuestLook {
  /** s */
  readonly time: number;
  /** MIPS */
  readonly given: number;
  readonly asked: number;
  readonly moving: boolean;
}

export interface HostLook {
  readonly time: number;
  readonly given: number;
  readonly asked: number;
  readonly active: boolean;
  /** Those that live here ask for more than the host has. */
  readonly over: boolean;
}

export interface Totals {
  /** MIPS x s */
  readonly asked: number;
  readonly given: number;
  /** Not given while the guest moved. */
  readonly lostByMoves: number;
  /** Not given while it did not. */
  readonly lostByOverload: number;
  /** Of all looks at which a guest got less than it asked: the mean part that it missed. */
  readonly meanMissed: number;
  /** s */
  readonly activeSeconds: number;
  /** A destination counts here while a guest arrives: the reference's measure, mostly an artefact. */
  readonly shortSeconds: number;
  readonly overSeconds: number;
  readonly shutdowns: number;
}

export class Tally {
  readonly #guests: (GuestLook | undefined)[];
  readonly #hosts: (HostLook | undefined)[];
  /** Whether each host was active before its present look. At first all count as active. */
  readonly #wasActive: boolean[];
  #asked = 0;
  #given = 0;
  #lostByMoves = 0;
  #lostByOverload = 0;
  #missed = 0;
  #misses = 0;
  #activeSeconds = 0;
  #shortSeconds = 0;
  #overSeconds = 0;
  #shutdowns = 0;

  constructor(hosts: number, guests: number) {
    this.#guests = Array.from({ length: guests });
    this.#hosts = Array.from({ length: hosts });
    this.#wasActive = Array.from({ length: hosts }, () => true);
  }

  guest(index: number, look: GuestLook): void {
    const last = this.#guests[index];
    if (last !== undefined && last.time !== look.time) this.#closeGuest(last, look.time);
    this.#guests[index] = look;
  }

  host(index: number, look: HostLook): void {
    const last = this.#hosts[index];
    if (last !== undefined && last.time !== look.time) this.#closeHost(index, last, look.time);
    this.#hosts[index] = look;
  }

  totals(): Totals {
    const ended = this.#hosts.filter(
      (look, index) => look !== undefined && !look.active && this.#wasActive[index],
    );
    return {
      asked: this.#asked,
      given: this.#given,
      lostByMoves: this.#lostByMoves,
      lostByOverload: this.#lostByOverload,
      meanMissed: this.#misses === 0 ? 0 : this.#missed / this.#misses,
      activeSeconds: this.#activeSeconds,
      shortSeconds: this.#shortSeconds,
      overSeconds: this.#overSeconds,
      shutdowns: this.#shutdowns + ended.length,
    };
  }

  #closeGuest({ time, given, asked, moving }: GuestLook, until: number): void {
    const seconds = until - time;
    this.#asked += asked * seconds;
    this.#given += given * seconds;
    if (given >= asked) return;
    this.#missed += (asked - given) / asked;
    this.#misses += 1;
    if (moving) this.#lostByMoves += (asked - given) * seconds;
    else this.#lostByOverload += (asked - given) * seconds;
  }

  #closeHost(index: number, { time, given, asked, active, over }: HostLook, until: number): void {
    if (this.#wasActive[index] && !active) this.#shutdowns += 1;
    this.#wasActive[index] = active;
    if (!active) return;
    this.#activeSeconds += until - time;
    if (given < asked) this.#shortSeconds += until - time;
    if (over) this.#overSeconds += until - time;
  }
}
