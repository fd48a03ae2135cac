import { godwitError } from '../../errors.ts';
import { TokenBuckets } from '../../token-buckets.ts';

export interface CallLimit {
  /** What is counted, as in `heartbeats`. */
  readonly what: string;
  /** Calls of one host at once. */
  readonly burst: number;
  /** How soon it may make one more, ms. */
  readonly everyMs: number;
}

/** Hosts that are remembered. */
const MAX_HOSTS = 1024;

/** How often each other host may make a call that costs this host a write. */
export class CallRate {
  readonly #host: string;
  readonly #limit: CallLimit;
  readonly #left: TokenBuckets;

  constructor(host: string, limit: CallLimit, nowMs: () => number) {
    this.#host = host;
    this.#limit = limit;
    this.#left = new TokenBuckets({ ...limit, maxKeys: MAX_HOSTS }, nowMs);
  }

  /** Counts a call of that host. GODWIT_OVERLOADED if it made too many, and then it is not counted. */
  take(from: string): void {
    if (this.#left.take(from)) return;
    const { what, burst, everyMs } = this.#limit;
    throw godwitError('GODWIT_OVERLOADED', {
      what: `${this.#host}, in ${what} of ${from},`,
      limit: `${burst}, and one more every ${everyMs} ms`,
    });
  }
}
