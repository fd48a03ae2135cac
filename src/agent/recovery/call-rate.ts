import { godwitError } from '../../errors.ts';

export interface CallLimit {
  /** What is counted, as in `heartbeats`. */
  readonly what: string;
  /** Calls of one host at once. */
  readonly burst: number;
  /** How soon it may make one more, ms. */
  readonly everyMs: number;
}

/** Hosts that are remembered; the host that called longest ago is forgotten for a new one. */
const MAX_HOSTS = 1024;

/** How often each other host may make a call that costs this host a write. */
export class CallRate {
  readonly #host: string;
  readonly #limit: CallLimit;
  readonly #nowMs: () => number;
  readonly #called = new Map<string, { readonly count: number; readonly atMs: number }>();

  constructor(host: string, limit: CallLimit, nowMs: () => number) {
    this.#host = host;
    this.#limit = limit;
    this.#nowMs = nowMs;
  }

  /** Counts a call of that host. GODWIT_OVERLOADED if it made too many, and then it is not counted. */
  take(from: string): void {
    const { what, burst, everyMs } = this.#limit;
    const nowMs = this.#nowMs();
    const { count, atMs } = this.#called.get(from) ?? { count: 0, atMs: nowMs };
    const total = Math.max(0, count - (nowMs - atMs) / everyMs) + 1;
    if (total > burst) {
      const limit = `${burst}, and one more every ${everyMs} ms`;
      throw godwitError('GODWIT_OVERLOADED', {
        what: `${this.#host}, in ${what} of ${from},`,
        limit,
      });
    }
    this.#called.delete(from);
    this.#called.set(from, { count: total, atMs: nowMs });
    const [oldest] = this.#called.keys();
    if (this.#called.size > MAX_HOSTS && oldest !== undefined) this.#called.delete(oldest);
  }
}
