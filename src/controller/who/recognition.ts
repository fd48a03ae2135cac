import { godwitError, type GodwitError } from '../../errors.ts';
import { hashOf } from './secrets.ts';
import type { WebIdentity } from './tokens.ts';

interface Rate {
  readonly burst: number;
  readonly everyMs: number;
}

/** Look-ups of unproved secrets: of one network, and of all. */
export const OF_A_NETWORK: Rate = { burst: 128, everyMs: 100 };
export const OF_ALL: Rate = { burst: 1024, everyMs: 10 };
const MAX_NETWORKS = 4096;
/** Hashes of secrets that were valid at their last look-up; at most 64 bytes each. */
const MAX_PROVED = 8192;
/** Hashes of valid secrets read at once; at most 64 bytes each. */
export const MAX_LISTED = 16_384;
/** Maximum age of a list, and the longest delay for a newer secret, ms. */
export const LIST_EVERY_MS = 10_000;

interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

type LookUp = (secret: string) => Promise<WebIdentity | undefined>;
export type ListHashes = () => Promise<readonly string[]>;

/**
 * Limits strangers' database look-ups. An invented secret is detected only by a look-up, so each network has a budget;
 * secrets that were valid before are exempt. With a spent budget, the hashes of all valid secrets are read together, so
 * that an owner whose secret is new to this process gets in as well.
 */
export class Recognition {
  readonly #monotonicMs: () => number;
  readonly #listHashes: ListHashes;
  #listed: Promise<Set<string>> | undefined;
  #listedAtMs = -Infinity;
  readonly #networks = new Map<string, Bucket>();
  #all: Bucket = { left: OF_ALL.burst, atMs: -Infinity };
  readonly #proved = new Set<string>();

  constructor(monotonicMs: () => number, listHashes: ListHashes) {
    this.#monotonicMs = monotonicMs;
    this.#listHashes = listHashes;
  }

  /** GODWIT_SIGN_IN_OFTEN before any look-up. */
  async owner(secret: string, network: string, lookUp: LookUp): Promise<WebIdentity | undefined> {
    const hash = hashOf(secret);
    const isProved = this.#proved.has(hash);
    const refusal = isProved ? undefined : this.#take(network);
    if (refusal !== undefined && !(await this.#isListed(hash))) throw refusal;
    const known = await lookUp(secret);
    if (known === undefined) await this.#forget(hash);
    else this.#prove(hash);
    if (known !== undefined && !isProved && refusal === undefined) this.#giveBack(network);
    return known;
  }

  async #isListed(hash: string): Promise<boolean> {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#listedAtMs >= LIST_EVERY_MS) {
      this.#listedAtMs = nowMs;
      this.#listed = this.#listHashes().then(
        (hashes) => new Set(hashes.slice(0, MAX_LISTED)),
        // A database that does not answer recognises no secret either.
        () => new Set(),
      );
    }
    return (await this.#listed)?.has(hash) === true;
  }

  async #forget(hash: string): Promise<void> {
    this.#proved.delete(hash);
    (await this.#listed)?.delete(hash);
  }

  #prove(hash: string): void {
    // Moves it to the end, because the first is dropped first.
    this.#proved.delete(hash);
    this.#proved.add(hash);
    const [oldest] = this.#proved;
    if (this.#proved.size > MAX_PROVED && oldest !== undefined) this.#proved.delete(oldest);
  }

  #take(network: string): GodwitError | undefined {
    const nowMs = this.#monotonicMs();
    const own = filled(this.#networks.get(network), OF_A_NETWORK, nowMs);
    const all = filled(this.#all, OF_ALL, nowMs);
    if (own.left < 1) return often(network, own, OF_A_NETWORK);
    if (all.left < 1) return often(network, all, OF_ALL);
    this.#keep(network, { left: own.left - 1, atMs: nowMs });
    this.#all = { left: all.left - 1, atMs: nowMs };
    return undefined;
  }

  #giveBack(network: string): void {
    const nowMs = this.#monotonicMs();
    const own = filled(this.#networks.get(network), OF_A_NETWORK, nowMs);
    const all = filled(this.#all, OF_ALL, nowMs);
    this.#keep(network, { left: Math.min(OF_A_NETWORK.burst, own.left + 1), atMs: nowMs });
    this.#all = { left: Math.min(OF_ALL.burst, all.left + 1), atMs: nowMs };
  }

  #keep(network: string, bucket: Bucket): void {
    this.#networks.delete(network);
    this.#networks.set(network, bucket);
    const [oldest] = this.#networks.keys();
    if (this.#networks.size > MAX_NETWORKS && oldest !== undefined) this.#networks.delete(oldest);
  }
}

function filled(bucket: Bucket | undefined, { burst, everyMs }: Rate, nowMs: number): Bucket {
  if (bucket === undefined) return { left: burst, atMs: nowMs };
  return { left: Math.min(burst, bucket.left + (nowMs - bucket.atMs) / everyMs), atMs: nowMs };
}

function often(network: string, { left }: Bucket, { everyMs }: Rate): GodwitError {
  const seconds = Math.max(1, Math.ceil(((1 - left) * everyMs) / 1000));
  return godwitError('GODWIT_SIGN_IN_OFTEN', { network, seconds });
}
