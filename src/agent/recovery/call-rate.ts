import { godwitError } from '../../errors.ts';
import { TokenBuckets } from '../../token-buckets.ts';

export interface CallLimit {
  readonly what: string;
  readonly burst: number;
  readonly everyMs: number;
}

const MAX_HOSTS = 1024;

/** Limits per host the calls that cost this host a write. */
export class CallRate {
  readonly #host: string;
  readonly #limit: CallLimit;
  readonly #left: TokenBuckets;

  constructor(host: string, limit: CallLimit, nowMs: () => number) {
    this.#host = host;
    this.#limit = limit;
    this.#left = new TokenBuckets({ ...limit, maxKeys: MAX_HOSTS }, nowMs);
  }

  take(from: string): void {
    if (this.#left.take(from)) return;
    const { what, burst, everyMs } = this.#limit;
    throw godwitError('GODWIT_OVERLOADED', {
      what: `${this.#host}, in ${what} of ${from},`,
      limit: `${burst}, and one more every ${everyMs} ms`,
    });
  }
}
