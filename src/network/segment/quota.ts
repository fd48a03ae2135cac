import { godwitError } from '../../errors.ts';
import type { NicNetwork } from '../../protocol/network.ts';
import { MAX_ADDRESSES } from './judge.ts';

/** Addresses that one host has asked for at once: two looks at a guest with as many NICs and addresses as it may have. */
const MAX = 1024;
/** How soon it may ask for one more. */
const AGAIN_MS = 1000;
/** Hosts that are remembered; the one that asked longest ago is forgotten for a new one. */
const MAX_HOSTS = 1024;

interface Asked {
  count: number;
  atMs: number;
}

/**
 * How many addresses this host asks its segments for, at the word of each other host: who says that its guest has them
 * learns whether somebody does. Enough for guests, too little for a look through networks.
 */
export class SegmentQuota {
  readonly #host: string;
  readonly #nowMs: () => number;
  readonly #asked = new Map<string, Asked>();

  constructor(host: string, nowMs: () => number) {
    this.#host = host;
    this.#nowMs = nowMs;
  }

  /** Takes what this will ask for `from` its share; GODWIT_OVERLOADED where that is more than is left, and nothing is taken. */
  take(from: string, networks: readonly NicNetwork[]): void {
    const wanted = addressesOf(networks);
    if (wanted === 0) return;
    const nowMs = this.#nowMs();
    const { count = 0, atMs = nowMs } = this.#asked.get(from) ?? {};
    const total = Math.max(0, count - (nowMs - atMs) / AGAIN_MS) + wanted;
    if (total > MAX) {
      const what = `${this.#host}, in addresses of guests of ${from} that its segments are asked for,`;
      const hint = `Try again in ${Math.ceil((total - MAX) * (AGAIN_MS / 1000))} s. A guest has few addresses: where nobody checked very many guests, look at what ${from} does.`;
      throw godwitError('GODWIT_OVERLOADED', { what, limit: MAX }, { hint });
    }
    this.#asked.delete(from);
    this.#asked.set(from, { count: total, atMs: nowMs });
    const [oldest] = this.#asked.keys();
    if (this.#asked.size > MAX_HOSTS && oldest !== undefined) this.#asked.delete(oldest);
  }

  /** Hosts that are remembered. */
  get size(): number {
    return this.#asked.size;
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
