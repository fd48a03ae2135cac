import { godwitError } from '../../errors.ts';
import { networkOf } from '../../rpc/identity.ts';
import { TokenBuckets } from '../../token-buckets.ts';

/** Failed joins of each network. */
const LIMIT = { burst: 5, everyMs: 12_000, maxKeys: 1024 };

/** Joins that failed, by where they came from. Wrong tokens cost whoever tries them, and no other host that joins. */
export class JoinFailures {
  readonly #left: TokenBuckets;

  constructor(nowMs: () => number) {
    this.#left = new TokenBuckets(LIMIT, nowMs);
  }

  /** GODWIT_OVERLOADED where too many failed from there; else what `redeem` does, whose failure is counted. */
  async run<T>(from: string | undefined, redeem: () => Promise<T>): Promise<T> {
    const network = networkOf(from ?? 'this host');
    // Counted before it has failed: several may come at once.
    if (!this.#left.take(network)) {
      const hint = 'Wait a minute, and join with a token that `godwit invite` has printed.';
      const what = `${network}, in joins that failed,`;
      throw godwitError('GODWIT_OVERLOADED', { what, limit: LIMIT.burst }, { hint });
    }
    const result = await redeem();
    this.#left.giveBack(network);
    return result;
  }

  /** Networks that are remembered. */
  get size(): number {
    return this.#left.size;
  }
}
