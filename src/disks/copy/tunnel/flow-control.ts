/** Bytes that a connection may send before anything is taken. */
export const FIRST_ROOM = 512 * 1024;
/** As many as a hypervisor has on the way for one disk, so that a long link is filled. */
const MAX_ROOM = 16 * 1024 * 1024;
/** The limit of all connections together, beyond what each has from the start. */
const POOL_BYTES = 48 * 1024 * 1024;

/** What this end may have to hold beyond each connection's first room, shared out to those that take it quickly. */
export class CreditPool {
  #leftBytes = POOL_BYTES;

  take(bytes: number): number {
    const given = Math.min(bytes, this.#leftBytes);
    this.#leftBytes -= given;
    return given;
  }

  giveBack(bytes: number): void {
    this.#leftBytes += bytes;
  }
}

/** How much one connection's far end may send to this one. */
export class ReceiveCredit {
  readonly #pool: CreditPool;
  #moreBytes = 0;
  /** The far end may still send these. */
  #openBytes = FIRST_ROOM;
  /** Of them, not with the hypervisor. */
  #heldBytes = 0;

  constructor(pool: CreditPool) {
    this.#pool = pool;
  }

  /** Came, and not with the hypervisor. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Held and not held: all that the far end may have on the way. */
  get mostBytes(): number {
    return FIRST_ROOM + this.#moreBytes;
  }

  /** False where the far end was not allowed to send so much. */
  came(bytes: number): boolean {
    if (bytes > this.#openBytes) return false;
    this.#openBytes -= bytes;
    this.#heldBytes += bytes;
    return true;
  }

  /**
   * The hypervisor has these; the answer is how many more may be sent. One that keeps up gets room for twice as much,
   * since then it is the link that is not filled; one that does not, never more than it had.
   */
  taken(bytes: number): number {
    this.#heldBytes -= bytes;
    const keepsUp = this.#heldBytes <= this.mostBytes / 4;
    const wish = keepsUp ? Math.min(bytes, MAX_ROOM - this.mostBytes) : 0;
    const more = this.#pool.take(wish);
    this.#moreBytes += more;
    this.#openBytes += bytes + more;
    return bytes + more;
  }

  /** The connection is no more. */
  end(): void {
    this.#pool.giveBack(this.#moreBytes);
    this.#moreBytes = 0;
  }
}
