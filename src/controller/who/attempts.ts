/** Failed attempts that one network has at once, and the pause after which it has one more. */
const BURST = 10;
const EVERY_MS = 30_000;
/** Networks that are remembered; the one that failed first is forgotten for a new one. */
const MAX_NETWORKS = 4096;

interface Failed {
  readonly left: number;
  readonly atMs: number;
}

/** Counts failed attempts to sign in on the network that they come from. Pure but for what it remembers. */
export class Attempts {
  readonly #failed = new Map<string, Failed>();

  /** s until that network may try again; 0: now. */
  waitS(network: string, nowMs: number): number {
    const left = this.#left(network, nowMs);
    return left >= 1 ? 0 : Math.ceil(((1 - left) * EVERY_MS) / 1000);
  }

  failed(network: string, nowMs: number): void {
    const left = Math.max(0, this.#left(network, nowMs) - 1);
    this.#failed.delete(network);
    this.#failed.set(network, { left, atMs: nowMs });
    const [oldest] = this.#failed.keys();
    if (this.#failed.size > MAX_NETWORKS && oldest !== undefined) this.#failed.delete(oldest);
  }

  get size(): number {
    return this.#failed.size;
  }

  #left(network: string, nowMs: number): number {
    const known = this.#failed.get(network);
    if (known === undefined) return BURST;
    return Math.min(BURST, known.left + (nowMs - known.atMs) / EVERY_MS);
  }
}
