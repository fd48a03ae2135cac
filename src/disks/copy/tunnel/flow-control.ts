/** Initial credit of a connection, bytes. */
export const FIRST_ROOM = 512 * 1024;
/** Maximum credit: the bytes that a hypervisor has in flight per disk, to fill a long link. */
const MAX_ROOM = 16 * 1024 * 1024;
/** Limit of all connections together, beyond the initial credits. */
const POOL_BYTES = 48 * 1024 * 1024;

/** Additional buffer space of this end, given to connections that are emptied fast. */
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

export class ReceiveCredit {
  readonly #pool: CreditPool;
  #moreBytes = 0;
  #openBytes = FIRST_ROOM;
  /** Received bytes that the hypervisor has not taken. */
  #heldBytes = 0;

  constructor(pool: CreditPool) {
    this.#pool = pool;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Maximum bytes in flight of the far end. */
  get mostBytes(): number {
    return FIRST_ROOM + this.#moreBytes;
  }

  /** False if the far end exceeded its credit. */
  came(bytes: number): boolean {
    if (bytes > this.#openBytes) return false;
    this.#openBytes -= bytes;
    this.#heldBytes += bytes;
    return true;
  }

  /**
   * The hypervisor took these bytes; returns new credit. A fast reader gets twice the credit, because the link is not
   * filled; a slow reader keeps its credit.
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

  end(): void {
    this.#pool.giveBack(this.#moreBytes);
    this.#moreBytes = 0;
  }
}
