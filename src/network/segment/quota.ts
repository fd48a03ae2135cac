import { godwitError } from '../../errors.ts';
import type { NicNetwork } from '../../protocol/network.ts';
import { TokenBuckets } from '../../token-buckets.ts';
import { MAX_ADDRESSES } from './judge.ts';

/** Address questions per host: a burst allows two looks at a guest with the maximum of NICs. */
const LIMIT = { burst: 1024, everyMs: 1000, maxKeys: 1024 };

/**
 * Limits the addresses that other hosts can make this host ask for, since the answers reveal which addresses are in
 * use. Enough for guests, too little for scanning.
 */
export class SegmentQuota {
  readonly #host: string;
  readonly #left: TokenBuckets;

  constructor(host: string, nowMs: () => number) {
    this.#host = host;
    this.#left = new TokenBuckets(LIMIT, nowMs);
  }

  /**
   * Takes the questions for `networks` from the share of `from`; GODWIT_OVERLOADED, without taking any, if too few
   * are left.
   */
  take(from: string, networks: readonly NicNetwork[]): void {
    const wanted = addressesOf(networks);
    if (wanted === 0 || this.#left.take(from, wanted)) return;
    const seconds = Math.ceil(this.#left.waitMs(from, wanted) / 1000);
    const what = `${this.#host}, in addresses of guests of ${from} that its segments are asked for,`;
    const hint = `Try again in ${seconds} s. A guest has few addresses: where nobody checked very many guests, look at what ${from} does.`;
    throw godwitError('GODWIT_OVERLOADED', { what, limit: LIMIT.burst }, { hint });
  }

  get size(): number {
    return this.#left.size;
  }
}

/** Upper bound; a routed guest is in no segment. */
function addressesOf(networks: readonly NicNetwork[]): number {
  return networks.reduce(
    (sum, { attachment, addresses }) =>
      attachment.kind === 'routed' ? sum : sum + Math.min(addresses.length, MAX_ADDRESSES),
    0,
  );
}
