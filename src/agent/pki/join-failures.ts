import { godwitError } from '../../errors.ts';
import { networkOf } from '../../rpc/identity.ts';

/** Joins of one network that may fail at once, and how soon another one may. */
const MAX_FAILED = 5;
const AGAIN_MS = 12_000;
/** Networks that are remembered; the one that failed first is forgotten for a new one. */
const MAX_NETWORKS = 1024;

interface Failed {
  count: number;
  atMs: number;
}

/** Joins that failed, by where they came from. Wrong tokens cost whoever tries them, and no other host that joins. */
export class JoinFailures {
  readonly #nowMs: () => number;
  readonly #failed = new Map<string, Failed>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** GODWIT_OVERLOADED where too many failed from there; else what `redeem` does, whose failure is counted. */
  async run<T>(from: string | undefined, redeem: () => Promise<T>): Promise<T> {
    const network = networkOf(from ?? 'this host');
    if (this.#countOf(network) + 1 > MAX_FAILED) {
      const hint = 'Wait a minute, and join with a token that `godwit invite` has printed.';
      const what = `${network}, in joins that failed,`;
      throw godwitError('GODWIT_OVERLOADED', { what, limit: MAX_FAILED }, { hint });
    }
    // Counted before it has failed: several may come at once.
    this.#add(network, 1);
    const result = await redeem();
    this.#add(network, -1);
    return result;
  }

  /** Networks that are remembered. */
  get size(): number {
    return this.#failed.size;
  }

  #countOf(network: string): number {
    const { count = 0, atMs = 0 } = this.#failed.get(network) ?? {};
    return Math.max(0, count - (this.#nowMs() - atMs) / AGAIN_MS);
  }

  #add(network: string, more: number): void {
    const count = this.#countOf(network) + more;
    this.#failed.delete(network);
    if (count <= 0) return;
    this.#failed.set(network, { count, atMs: this.#nowMs() });
    const [oldest] = this.#failed.keys();
    if (this.#failed.size > MAX_NETWORKS && oldest !== undefined) this.#failed.delete(oldest);
  }
}
