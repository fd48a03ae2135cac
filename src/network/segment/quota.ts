import { godwitError } from '../../errors.ts';
import type { NicNetwork } from '../../protocol/network.ts';
import { TokenBuckets } from '../../token-buckets.ts';
import { MAX_ADDRESSES } from './judge.ts';

/** Addresses that one host asks for: at once, two looks at a guest with as many NICs and addresses as it may have. */
const LIMIT = { burst: 1024, everyMs: 1000, maxKeys: 1024 };

/**
 * How many addresses this host asks its segments for, at the word of each other host: who says that its guest has them
 * learns whether somebody does. Enough for guests, too little for a look through networks.
 */
export class SegmentQuota {
  readonly #host: string;
  readonly #left: TokenBuckets;

  constructor(host: string, nowMs: () => number) {
    this.#host = host;
    this.#left = new TokenBuckets(LIMIT, nowMs);
  }

  /** Takes what this will ask for `from` its share; GODWIT_OVERLOADED where that is more than is left, and nothing is taken. */
  take(from: string, networks: readonly NicNetwork[]): void {
    const wanted = addressesOf(networks);
    if (wanted === 0 || this.#left.take(from, wanted)) return;
    const seconds = Math.ceil(this.#left.waitMs(from, wanted) / 1000);
    const what = `${this.#host}, in addresses of guests of ${from} that its segments are asked for,`;
    const hint = `Try again in ${seconds} s. A guest has few addresses: where nobody checked very many guests, look at what ${from} does.`;
    throw godwitError('GODWIT_OVERLOADED', { what, limit: LIMIT.burst }, { hint });
  }

  /** Hosts that are remembered. */
  get size(): number {
    return this.#left.size;
  }
}

/** As many as may be asked for: a routed guest is in no segment. */
function addressesOf(networks: readonly NicNetwork[]): number {
  return networks.reduce(
    (sum, { attachment, addresses }) =>
      attachment.kind === 'routed' ? sum : sum + Math.min(addresses.length, MAX_ADDRESSES),
    0,
  );
}
